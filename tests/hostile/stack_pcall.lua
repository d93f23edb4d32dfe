-- family: C stack
-- attack: pcall of pcall of pcall
-- expect: error "stack overflow|CPU limit|memory limit"

function on_issue(event)
  local function f() return select(2, pcall(f)) or error("stack overflow at the bottom") end
  error(f())
end
