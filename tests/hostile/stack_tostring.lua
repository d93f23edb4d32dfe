-- family: C stack
-- attack: a __tostring that asks for itself
-- expect: error "stack overflow"

function on_issue(event)
  local t
  t = setmetatable({}, { __tostring = function() return tostring(t) end })
  tostring(t)
end
