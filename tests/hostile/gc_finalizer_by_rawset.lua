-- family: garbage collector
-- attack: a finalizer under a name that is made at run time
-- expect: error "__gc is not allowed"

function on_issue(event)
  local mt = {} rawset(mt, "__" .. "gc", function() end) setmetatable({}, mt)
end
