-- family: escapes
-- attack: the metatable of the event
-- expect: done

function on_issue(event)
  local mt = getmetatable(event)
  assert(mt == nil or type(mt) ~= "table", "a metatable to change")
end
