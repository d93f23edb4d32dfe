-- family: memory of C
-- attack: the same through cjson.safe, which catches errors
-- expect: error "memory limit"

function on_issue(event)
  local s, t = ("x"):rep(1e6), {}
  for i = 1, 250 do t[i] = s end
  local out, why = require "cjson.safe".encode(t)
  if out then log.info("ESCAPED") end
  error(why)
end
