-- family: loops in Lua
-- attack: a loop whose end a message handler is to swallow
-- expect: error "CPU limit"

function on_issue(event)
  while true do xpcall(function() while true do end end, function() return "survived" end) end
end
