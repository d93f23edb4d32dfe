-- family: memory of C
-- attack: an answer that is to be larger than the memory
-- expect: error "memory limit|too_large"

function on_comment(event)
  local res, why, code = http.get("@PEER@/huge", { max_bytes = 256 << 20 })
  error(res and "ESCAPED" or code)
end
