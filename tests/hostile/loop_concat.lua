-- family: loops in Lua
-- attack: a __concat that never ends
-- expect: error "CPU limit"

function on_issue(event)
  return setmetatable({}, { __concat = function() while true do end end }) .. "x"
end
