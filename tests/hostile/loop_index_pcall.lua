-- family: loops in Lua
-- attack: an __index that never answers, called by pcall's pcall
-- expect: error "CPU limit"

function on_issue(event)
  local t = setmetatable({}, { __index = function(t, k) while true do end end })
  while true do pcall(pcall, function() return t.x end) end
end
