-- family: escapes
-- attack: a retry that is to be caught
-- expect: retry

function on_issue(event)
  pcall(event.retry, event, { after = 0 })
  log.info("ESCAPED")
end
