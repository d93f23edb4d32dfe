-- family: floods
-- attack: control characters and broken UTF-8 in errors and log lines
-- expect: error "bell"

function on_issue(event)
  log.info("\27[2J\27]0;owned\7\255\254", { ["\27[31m"] = "\0\255" })
  error("bell \7\27[2J\255\0 end", 0)
end
