-- family: C stack
-- attack: an __index that leads in a circle
-- expect: error "loop"

function on_issue(event)
  local a, b = {}, {}
  setmetatable(a, { __index = b })
  setmetatable(b, { __index = a })
  return a.x
end
