-- family: escapes
-- attack: the library socket by require
-- expect: error "not found"

function on_issue(event)
  return require "socket"
end
