-- family: loops in Lua
-- attack: a loop of gotos
-- expect: error "CPU limit"

function on_issue(event)
  ::again:: goto again
end
