-- family: garbage collector
-- attack: the collector is to be stopped
-- expect: error "invalid option"

function on_issue(event)
  collectgarbage("stop")
end
