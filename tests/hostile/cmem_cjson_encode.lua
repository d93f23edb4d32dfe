-- family: memory of C
-- attack: cjson.encode of much more than fits: its buffer is malloc's
-- expect: error "memory limit"

function on_issue(event)
  local s, t = ("x"):rep(1e6), {}
  for i = 1, 250 do t[i] = s end
  local out = require "cjson".encode(t)
  log.info("ESCAPED", { bytes = #out })
end
