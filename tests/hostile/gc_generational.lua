-- family: garbage collector
-- attack: the collector is to become one that is not sound in Lua 5.4.4
-- expect: error "invalid option"

function on_issue(event)
  collectgarbage("generational")
end
