-- family: loops in Lua
-- attack: tail calls without end
-- expect: error "CPU limit"

function on_issue(event)
  local function f() return f() end
  f()
end
