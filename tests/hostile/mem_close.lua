-- family: memory of Lua
-- attack: memory that runs out while __close has its time
-- expect: error "memory limit"

function on_issue(event)
  local x <close> = setmetatable({}, { __close = function() local t = {} while true do t[#t + 1] = ("x"):rep(1e6) .. #t end end })
  local t = {} while true do t[#t + 1] = ("x"):rep(1e6) .. #t end
end
