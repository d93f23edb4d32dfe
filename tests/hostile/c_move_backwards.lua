-- family: loops in C
-- attack: table.move downwards over 2^60 elements
-- expect: error "CPU limit"

function on_issue(event)
  local t = {}
  table.move(t, 1, 1 << 60, 2, t)
end
