-- family: loops in C
-- attack: table.concat whose elements come from C
-- expect: error "CPU limit|memory limit"

function on_issue(event)
  local t = setmetatable({}, { __len = function() return 1 << 40 end, __index = string.lower })
  while true do pcall(table.concat, setmetatable({}, { __len = function() return 1 << 40 end,
    __index = setmetatable({}, { __index = math.type })})) end
end
