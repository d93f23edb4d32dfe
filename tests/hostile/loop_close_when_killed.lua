-- family: loops in Lua
-- attack: a __close that loops when the run is being ended
-- expect: error "CPU limit"

function on_issue(event)
  local x <close> = setmetatable({}, { __close = function() while true do end end })
  while true do end
end
