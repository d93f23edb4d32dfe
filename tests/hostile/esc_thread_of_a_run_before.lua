-- family: escapes
-- attack: the coroutine of another run that waits
-- expect: done

runs = runs or {}
function on_event(event)
  local me = coroutine.running()
  for _, other in ipairs(runs) do
    assert(not coroutine.resume(other))
    assert(coroutine.status(other) == "dead" or not pcall(coroutine.close, other))
  end
  runs[#runs + 1] = me
  sleep(0.01)
end
