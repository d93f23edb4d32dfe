-- family: loops in Lua
-- attack: a loop without end
-- expect: error "CPU limit"

function on_issue(event)
  while true do end
end
