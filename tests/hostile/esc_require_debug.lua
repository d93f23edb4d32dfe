-- family: escapes
-- attack: the library debug by require
-- expect: error "not found"

function on_issue(event)
  return require "debug"
end
