-- family: loops in Lua
-- attack: a coroutine from before the deadline was armed
-- expect: error "CPU limit"

local co = coroutine.create(function() while true do end end)
function on_issue(event)
  coroutine.resume(co)
  while true do end
end
