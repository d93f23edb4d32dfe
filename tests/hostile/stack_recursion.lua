-- family: C stack
-- attack: recursion without end
-- expect: error "stack overflow|memory limit"

function on_issue(event)
  local function f() return 1 + f() end f()
end
