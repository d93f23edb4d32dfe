-- family: memory of Lua
-- attack: a format with thirty long arguments
-- expect: error "memory limit"

function on_issue(event)
  local s = ("x"):rep(2e6)
  return ("%s%s%s%s%s%s%s%s%s%s"):format(s, s, s, s, s, s, s, s, s, s)
end
