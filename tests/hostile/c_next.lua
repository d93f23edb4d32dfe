-- family: loops in C
-- attack: next over a large table that is emptied, each time from the beginning
-- expect: error "CPU limit"

function on_issue(event)
  local t = {}
  for i = 1, 1e5 do t[i] = i end
  for i = 1, 1e5 - 1 do t[i] = nil end
  while true do next(t) end
end
