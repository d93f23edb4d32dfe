-- family: escapes
-- attack: the library posix by require
-- expect: error "not found"

function on_issue(event)
  return require "posix"
end
