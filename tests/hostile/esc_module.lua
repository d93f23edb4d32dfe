-- family: escapes
-- attack: a module's function replaced
-- expect: error "read-only"

function on_issue(event)
  kv.get = function() return "ESCAPED" end
end
