-- family: memory of C
-- attack: an answer that is a thousand times longer when it is unpacked
-- expect: error "too_large|memory limit"

function on_comment(event)
  local res, why, code = http.get("@PEER@/zip")
  error(res and "ESCAPED" or code)
end
