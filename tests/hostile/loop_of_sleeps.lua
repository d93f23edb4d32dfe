-- family: loops in Lua
-- attack: short slices without end: the wall time is up
-- expect: error "handler deadline"

function on_issue(event)
  while true do sleep(0) end
end
