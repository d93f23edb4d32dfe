-- family: escapes
-- attack: the string library itself
-- expect: error "read-only"

function on_issue(event)
  string.rep = function() return "ESCAPED" end
end
