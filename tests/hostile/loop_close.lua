-- family: loops in Lua
-- attack: a __close that never ends
-- expect: error "CPU limit"

function on_issue(event)
  local x <close> = setmetatable({}, { __close = function() while true do end end })
end
