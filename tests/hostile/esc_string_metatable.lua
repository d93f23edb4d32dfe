-- family: escapes
-- attack: the methods of strings through their metatable
-- expect: error "attempt to index a boolean"

function on_issue(event)
  getmetatable("").__index = { rep = function() return "ESCAPED" end }
end
