-- family: loops in Lua
-- attack: a __pairs whose iterator never ends
-- expect: error "CPU limit"

function on_issue(event)
  for k in pairs(setmetatable({}, { __pairs = function() return function() return 1 end end })) do end
end
