-- family: loops in C
-- attack: table.unpack of a hundred million values
-- expect: error "too many results"

function on_issue(event)
  table.unpack({}, 1, 1e8)
end
