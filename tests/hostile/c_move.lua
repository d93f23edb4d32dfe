-- family: loops in C
-- attack: table.move over 2^60 elements
-- expect: error "CPU limit"

function on_issue(event)
  table.move({}, 1, 1 << 60, 2)
end
