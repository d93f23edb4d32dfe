-- family: escapes
-- attack: a library by rawset
-- expect: error "read-only"

function on_issue(event)
  rawset(string, "rep", function() return "ESCAPED" end)
end
