-- family: escapes
-- attack: a module by rawset
-- expect: error "read-only"

function on_issue(event)
  rawset(http, "get", function() return "ESCAPED" end)
end
