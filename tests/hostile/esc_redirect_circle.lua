-- family: escapes
-- attack: redirects in a circle
-- expect: done

function on_comment(event)
  local res, why, code = http.get("@PEER@/circle", { follow = true, timeout = 5 })
  assert(res == nil and code == "invalid", tostring(code))
end
