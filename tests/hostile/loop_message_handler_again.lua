-- family: loops in Lua
-- attack: a message handler that raises errors, over and over
-- expect: error "CPU limit"

function on_issue(event)
  while true do
    xpcall(function() error("x") end, function() error("y") end)
  end
end
