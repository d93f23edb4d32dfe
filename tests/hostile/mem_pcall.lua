-- family: memory of Lua
-- attack: memory that is filled, caught and filled again
-- expect: error "CPU limit|memory limit"

function on_issue(event)
  while true do
    pcall(function() local t = {} while true do t[#t + 1] = ("x"):rep(1e5) .. #t end end)
  end
end
