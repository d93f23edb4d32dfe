-- family: memory of C
-- attack: json.encode of much more than fits
-- expect: error "too long|memory limit|too large"

function on_issue(event)
  local s, t = ("x"):rep(1e6), {}
  for i = 1, 250 do t[i] = s end
  json.encode(t)
  log.info("ESCAPED")
end
