-- family: loops in C
-- attack: a sort of long strings that are nearly equal
-- expect: error "CPU limit"

function on_issue(event)
  local t, head = {}, ("x"):rep(2e5)
  for i = 1, 40 do t[i] = head .. i end
  while true do table.sort(t) end
end
