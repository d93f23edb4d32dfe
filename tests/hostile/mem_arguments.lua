-- family: memory of Lua
-- attack: a call with hundreds of thousands of arguments
-- expect: error "stack overflow|too many|memory limit"

function on_issue(event)
  local t = {}
  for i = 1, 9e5 do t[i] = i end
  return select("#", table.unpack(t), table.unpack(t))
end
