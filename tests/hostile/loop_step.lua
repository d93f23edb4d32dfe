-- family: loops in Lua
-- attack: a step that never ends
-- expect: error "CPU limit"

function on_issue(event)
  step("never", function() while true do end end)
end
