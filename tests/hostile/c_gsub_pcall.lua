-- family: loops in C
-- attack: gsub that calls nothing but C
-- expect: error "CPU limit"

function on_issue(event)
  local s = ("a"):rep(1e5) while true do s:gsub(".", pcall) end
end
