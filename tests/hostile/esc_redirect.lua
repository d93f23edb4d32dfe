-- family: escapes
-- attack: a redirect to where no script may go
-- expect: done

function on_comment(event)
  local res, why, code = http.get("@PEER@/to?http://10.0.0.1/", { follow = true, timeout = 5 })
  assert(res == nil and code == "blocked", code)
  res, why, code = http.get("@PEER@/to?file://@CANARY@", { follow = true, timeout = 5 })
  assert(res == nil, "a file")
end
