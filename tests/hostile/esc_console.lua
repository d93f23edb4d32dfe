-- family: escapes
-- attack: moonpost's own listeners
-- expect: done

function on_comment(event)
  for _, port in ipairs { "@PORT@", "@CONSOLE@" } do
    local res, why, code = http.get("http://127.0.0.1:" .. port .. "/api/deliveries", { timeout = 1 })
    assert(res == nil and code == "blocked", tostring(code))
  end
end
