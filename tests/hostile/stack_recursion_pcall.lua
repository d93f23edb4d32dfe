-- family: C stack
-- attack: recursion without end that catches its end and goes on
-- expect: error "CPU limit|memory limit"

function on_issue(event)
  local function f() pcall(f) f() end
  while true do pcall(f) end
end
