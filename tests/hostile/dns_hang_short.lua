-- family: lookups that hang
-- attack: one such name, with a timeout of its own
-- expect: done

function on_comment(event)
  local res, why, code = http.get("http://once.hang.test/", { timeout = 0.2 })
  assert(code == "timeout" or code == "resolve", code)
end
