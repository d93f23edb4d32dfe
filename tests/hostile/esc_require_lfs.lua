-- family: escapes
-- attack: the library lfs by require
-- expect: error "not found"

function on_issue(event)
  return require "lfs"
end
