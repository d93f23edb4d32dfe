-- family: escapes
-- attack: the event of a run that is over
-- expect: done

local before
function on_event(event)
  if before then assert(not pcall(before.retry, before)) end
  before = event
end
