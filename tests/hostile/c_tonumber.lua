-- family: loops in C
-- attack: tonumber of a megabyte of digits
-- expect: error "CPU limit"

function on_issue(event)
  local s = ("9"):rep(1e6) while true do tonumber(s, 36) end
end
