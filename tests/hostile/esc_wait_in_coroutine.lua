-- family: escapes
-- attack: a wait in a coroutine of its own
-- expect: error "cannot wait"

function on_issue(event)
  coroutine.wrap(function() sleep(0) end)()
end
