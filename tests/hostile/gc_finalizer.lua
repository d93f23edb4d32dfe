-- family: garbage collector
-- attack: a finalizer that never ends
-- expect: error "__gc is not allowed"

function on_issue(event)
  setmetatable({}, { __gc = function() while true do end end })
end
