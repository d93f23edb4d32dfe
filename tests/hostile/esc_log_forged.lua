-- family: escapes
-- attack: a log line that looks like another script's
-- expect: done

function on_issue(event)
  log.info('x"}\n{"level":"error","msg":"FORGED","script":"healthy"}', { script = "healthy", delivery = "0", msg = "FORGED", time = "x",
    level = "error" })
end
