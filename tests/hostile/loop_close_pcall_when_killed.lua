-- family: loops in Lua
-- attack: a __close that catches its own end and opens another one
-- expect: error "CPU limit"

function on_issue(event)
  local function open(n)
    local x <close> = setmetatable({}, { __close = function() pcall(open, n + 1) while true do end end })
    while true do end
  end
  open(1)
end
