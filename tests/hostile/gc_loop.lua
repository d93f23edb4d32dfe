-- family: garbage collector
-- attack: collections without end
-- expect: error "CPU limit"

function on_issue(event)
  while true do collectgarbage() end
end
