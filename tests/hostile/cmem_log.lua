-- family: memory of C
-- attack: a log line of four megabytes
-- expect: done

function on_issue(event)
  log.info(("x"):rep(4e6), { field = ("y"):rep(1e6) })
end
