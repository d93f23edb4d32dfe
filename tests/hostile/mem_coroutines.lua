-- family: memory of Lua
-- attack: coroutines without end
-- expect: error "memory limit|CPU limit"

function on_issue(event)
  local t = {}
  while true do
    local co = coroutine.create(function() coroutine.yield() end)
    coroutine.resume(co)
    t[#t + 1] = co
  end
end
