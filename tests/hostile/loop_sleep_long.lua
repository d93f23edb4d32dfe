-- family: loops in Lua
-- attack: a sleep longer than the deadline is refused at once
-- expect: error "sleep is longer"

function on_issue(event)
  sleep(3600)
end
