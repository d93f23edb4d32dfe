-- family: loops in Lua
-- attack: two coroutines that yield to each other for ever
-- expect: error "CPU limit"

function on_issue(event)
  local co = coroutine.wrap(function() while true do coroutine.yield() end end)
  while true do co() end
end
