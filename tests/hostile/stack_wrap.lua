-- family: C stack
-- attack: coroutines in coroutines without end
-- expect: error "stack overflow|(stack_wrap.lua:6: .*){20}"

function on_issue(event)
  local function f() return coroutine.wrap(f)() end
  f()
end
