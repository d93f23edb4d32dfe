-- family: floods
-- attack: half a million log lines
-- expect: error "CPU limit"

function on_issue(event)
  for i = 1, 5e6 do log.info("line " .. i) end
end
