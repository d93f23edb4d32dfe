-- family: loops in Lua
-- attack: a loop in the message handler of xpcall, where Lua's own could not be stopped
-- expect: error "CPU limit"

function on_issue(event)
  xpcall(function() error("x") end, function() while true do end end)
end
