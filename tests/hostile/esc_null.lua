-- family: escapes
-- attack: the metatable of null, which all share
-- expect: done

function on_issue(event)
  assert(getmetatable(json.null) == false)
  assert(not pcall(setmetatable, json.null, {}))
  assert(not pcall(function() json.null.x = 1 end))
end
