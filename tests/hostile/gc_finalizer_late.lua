-- family: garbage collector
-- attack: a finalizer that is put into the metatable later
-- expect: done

function on_issue(event)
  local mt = {}
  for i = 1, 100 do setmetatable({}, mt) end
  mt.__gc = function() log.info("ESCAPED") while true do end end
  collectgarbage()
  collectgarbage()
end
