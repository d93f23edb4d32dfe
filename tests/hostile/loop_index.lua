-- family: loops in Lua
-- attack: an __index that never answers
-- expect: error "CPU limit"

function on_issue(event)
  return setmetatable({}, { __index = function(t, k) while true do end end }).x
end
