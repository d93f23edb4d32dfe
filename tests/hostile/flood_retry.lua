-- family: floods
-- attack: a retry at once, for ever
-- expect: retry

function on_issue(event)
  event:retry { after = 0 }
end
