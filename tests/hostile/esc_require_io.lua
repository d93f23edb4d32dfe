-- family: escapes
-- attack: the library io by require
-- expect: error "not found"

function on_issue(event)
  return require "io"
end
