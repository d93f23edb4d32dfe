-- family: descriptors
-- attack: connections to nobody, over and over
-- expect: done

function on_comment(event)
  for i = 1, 200 do
    local res, why, code = http.get("http://127.0.0.1:1/", { timeout = 1 })
    assert(code == "connect", code)
  end
end
