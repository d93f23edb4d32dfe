-- family: escapes
-- attack: another metatable for a library
-- expect: error "protected metatable"

function on_issue(event)
  setmetatable(string, {})
end
