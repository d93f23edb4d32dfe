-- family: loops in C
-- attack: table.insert into a table that says it is endless
-- expect: error "CPU limit"

function on_issue(event)
  table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 1)
end
