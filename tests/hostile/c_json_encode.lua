-- family: loops in C
-- attack: json.encode of the same table, over and over
-- expect: error "CPU limit"

function on_issue(event)
  local t = {}
  for i = 1, 2e4 do t[i] = { i } end
  while true do json.encode(t) end
end
