-- family: loops in C
-- attack: a sort whose comparison is no order
-- expect: error "invalid order function|CPU limit"

function on_issue(event)
  local t = {}
  for i = 1, 1000 do t[i] = i end
  while true do table.sort(t, function() return true end) end
end
