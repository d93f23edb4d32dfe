-- family: escapes
-- attack: a handler behind an __index of the globals
-- expect: error "trapped"

function on_issue(event)
  setmetatable(_G, { __index = function(_, name) error("trapped " .. name) end })
  return nothing_of_the_kind
end
