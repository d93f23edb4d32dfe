-- family: escapes
-- attack: the handler's own coroutine: resumed, closed, yielded from
-- expect: done

function on_issue(event)
  local me = coroutine.running()
  local ok, why = coroutine.resume(coroutine.create(function() return coroutine.resume(me) end))
  assert(ok)
  assert(not pcall(coroutine.close, me))
  assert(not pcall(coroutine.yield))
  assert(not coroutine.isyieldable())
  assert(coroutine.wrap(function() local ok, why = coroutine.resume(me) return not ok end)())
end
