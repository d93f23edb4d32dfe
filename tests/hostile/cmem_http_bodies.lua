-- family: memory of C
-- attack: two hundred requests with the same megabyte
-- expect: error "memory limit"

function on_comment(event)
  local list, body = {}, ("x"):rep(1e6)
  for i = 1, 200 do list[i] = { method = "POST", url = "@PEER@/hang", body = body } end
  http.all(list)
end
