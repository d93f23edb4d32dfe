-- family: loops in Lua
-- attack: an error whose __tostring never ends
-- expect: error "error object is a table"

function on_issue(event)
  error(setmetatable({}, { __tostring = function() while true do end end }))
end
