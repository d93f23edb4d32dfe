-- family: floods
-- attack: a log line with a hundred thousand fields
-- expect: done

function on_issue(event)
  local fields = {}
  for i = 1, 1e4 do fields["f" .. i] = i end
  log.info("fields", fields)
end
