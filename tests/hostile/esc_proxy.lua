-- family: escapes
-- attack: another Host, to confuse a proxy: it is the peer's business, and goes to the peer
-- expect: done

function on_comment(event)
  local res = assert(http.get("@PEER@/ok", { headers = { Host = "elsewhere.example" } }))
  assert(res.status == 200)
end
