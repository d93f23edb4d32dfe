-- family: floods
-- attack: log lines of 8 KiB each
-- expect: done

function on_issue(event)
  local s = ("x"):rep(8000) for i = 1, 200 do log.info(s) end
end
