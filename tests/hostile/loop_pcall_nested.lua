-- family: loops in Lua
-- attack: a loop under fifty pcalls, each of which goes on
-- expect: error "CPU limit"

function on_issue(event)
  local function deep(n)
    if n == 0 then while true do end end
    pcall(deep, n - 1)
    while true do end
  end
  deep(50)
end
