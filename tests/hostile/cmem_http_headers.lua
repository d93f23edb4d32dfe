-- family: memory of C
-- attack: an answer with headers without end
-- expect: error "too_large|connect|memory limit|invalid"

function on_comment(event)
  local res, why, code = http.get("@PEER@/headers")
  error(res and "ESCAPED" or code)
end
