-- family: memory of Lua
-- attack: one long string, a thousand times
-- expect: error "memory limit"

function on_issue(event)
  local s, t = ("x"):rep(1e6), {}
  for i = 1, 1000 do t[i] = s end
  return table.concat(t)
end
