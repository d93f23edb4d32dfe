-- family: garbage collector
-- attack: the collector is to become lazy
-- expect: error "invalid option"

function on_issue(event)
  collectgarbage("setpause", 1000000)
end
