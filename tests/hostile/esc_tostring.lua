-- family: escapes
-- attack: what is not text where text is wanted
-- expect: done

function on_comment(event)
  local t = setmetatable({}, { __tostring = function() return {} end, __name = "ESCAPED" })
  assert(not pcall(log.info, t))
  assert(not pcall(http.get, t))
  assert(not pcall(kv.set, t, 1))
  assert(not pcall(step, t, print))
  assert(not pcall(secret, t))
end
