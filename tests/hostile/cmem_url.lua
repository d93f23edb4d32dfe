-- family: memory of C
-- attack: a query of megabytes
-- expect: error "memory limit|invalid"

function on_comment(event)
  local res, why, code = http.get("@PEER@/ok", { query = { a = ("\1"):rep(4e6) } })
  error(res and "ESCAPED" or code)
end
