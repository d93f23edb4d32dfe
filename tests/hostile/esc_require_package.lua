-- family: escapes
-- attack: the library package by require
-- expect: error "not found"

function on_issue(event)
  return require "package"
end
