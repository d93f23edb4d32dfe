-- family: loops in Lua
-- attack: a loop in a coroutine under pcall; the outer loop goes on
-- expect: error "CPU limit"

function on_issue(event)
  while true do pcall(coroutine.wrap(function() while true do end end)) end
end
