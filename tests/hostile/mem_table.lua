-- family: memory of Lua
-- attack: a table that grows without end
-- expect: error "memory limit|CPU limit"

function on_issue(event)
  local t = {} while true do t[#t + 1] = {} end
end
