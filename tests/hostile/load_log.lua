-- family: at load time
-- attack: a flood of log lines at the top level
-- expect: done

for i = 1, 2000 do log.info("loading " .. i) end
function on_event() end
