-- family: memory of Lua
-- attack: copies of a long string in all cases
-- expect: error "memory limit"

function on_issue(event)
  local t, s = {}, ("x"):rep(1e6)
  while true do t[#t + 1] = s:upper() .. #t end
end
