-- family: escapes
-- attack: files and other protocols by http
-- expect: done

function on_comment(event)
  for _, url in ipairs { "file://@CANARY@", "FILE://@CANARY@", "gopher://127.0.0.1/", "dict://127.0.0.1/", "ftp://127.0.0.1/",
      "unix:///run/docker.sock", "", "//127.0.0.1/", "http://" } do
    local ok, res, code = pcall(http.get, url)
    assert(not ok or res == nil, url)
  end
end
