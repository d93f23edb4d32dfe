-- family: loops in C
-- attack: table.concat of a table that says it is endless
-- expect: error "CPU limit"

function on_issue(event)
  local t = setmetatable({}, { __len = function() return 1 << 40 end, __index = function() return "" end })
  while true do pcall(table.concat, t) end
end
