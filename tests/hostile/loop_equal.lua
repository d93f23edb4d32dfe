-- family: loops in Lua
-- attack: an __eq that never ends
-- expect: error "CPU limit"

function on_issue(event)
  local mt = { __eq = function() while true do end end }
  return setmetatable({}, mt) == setmetatable({}, mt)
end
