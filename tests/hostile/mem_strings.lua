-- family: memory of Lua
-- attack: a string that doubles without end
-- expect: error "memory limit"

function on_issue(event)
  local s = "x" while true do s = s .. s end
end
