-- family: memory of Lua
-- attack: a replacement that makes a megabyte of a letter
-- expect: error "memory limit"

function on_issue(event)
  local r = ("x"):rep(1e6) return ("a"):rep(1000):gsub("a", r)
end
