-- family: escapes
-- attack: the mark of arrays, which all share
-- expect: done

function on_issue(event)
  local mt = getmetatable(json.array {})
  assert(type(mt) ~= "table")
end
