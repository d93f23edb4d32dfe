-- family: memory of C
-- attack: cjson.encode of text that becomes six times as long
-- expect: error "memory limit"

function on_issue(event)
  local s = ("\1"):rep(4e6)
  require "cjson".encode({ s, s, s })
  log.info("ESCAPED")
end
