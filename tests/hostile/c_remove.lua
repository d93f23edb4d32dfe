-- family: loops in C
-- attack: table.remove from a table that says it is endless
-- expect: error "CPU limit"

function on_issue(event)
  table.remove(setmetatable({}, { __len = function() return 1 << 60 end }), 1)
end
