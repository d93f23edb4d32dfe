-- family: loops in Lua
-- attack: a loop that catches its own end
-- expect: error "CPU limit"

function on_issue(event)
  while true do pcall(function() while true do end end) end
end
