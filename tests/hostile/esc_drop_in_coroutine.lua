-- family: escapes
-- attack: a drop out of a coroutine under pcall
-- expect: dropped

function on_issue(event)
  pcall(coroutine.wrap(function() event:drop("over") end))
  log.info("ESCAPED")
end
