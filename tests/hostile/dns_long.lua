-- family: lookups that hang
-- attack: a name that is longer than names are
-- expect: done

function on_comment(event)
  local res, why, code = http.get("http://" .. ("a"):rep(300) .. ".test/")
  assert(res == nil and code == "resolve" or code == "invalid", code)
end
