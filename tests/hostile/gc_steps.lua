-- family: garbage collector
-- attack: steps of the collector without end
-- expect: error "CPU limit"

function on_issue(event)
  while true do collectgarbage("step", 1 << 30) end
end
