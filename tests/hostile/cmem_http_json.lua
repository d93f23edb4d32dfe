-- family: memory of C
-- attack: a request whose JSON is much longer than the table
-- expect: error "memory limit|too long|too large"

function on_comment(event)
  local s, t = ("\1"):rep(1e6), {}
  for i = 1, 30 do t[i] = s end
  http.post("@PEER@/ok", { json = t })
end
