-- family: loops in Lua
-- attack: a comparison that never ends
-- expect: error "CPU limit"

function on_issue(event)
  while true do pcall(table.sort, { 3, 2, 1 }, function(a, b) while true do end end) end
end
