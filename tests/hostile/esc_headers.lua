-- family: escapes
-- attack: a second request within a header
-- expect: done

function on_comment(event)
  for _, value in ipairs { "x\r\nHost: y", "x\ny", "x\r\n\r\nGET / HTTP/1.1", "x\0y" } do
    assert(not pcall(http.get, "@PEER@/ok", { headers = { ["X-A"] = value } }))
    assert(not pcall(http.get, "@PEER@/ok", { headers = { [value] = "x" } }))
  end
  assert(not pcall(http.get, "@PEER@/ok HTTP/1.1\r\nX: y"))
  assert(not pcall(http.request, { method = "GET / HTTP/1.1\r\nX: y", url = "@PEER@/ok" }))
  assert(not pcall(http.post, "@PEER@/ok", { body = "x", headers = { ["Content-Length"] = "99" } }))
  assert(not pcall(http.post, "@PEER@/ok", { body = "x", headers = { ["Transfer-Encoding"] = "chunked" } }))
end
