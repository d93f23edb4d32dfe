-- family: escapes
-- attack: the library ffi by require
-- expect: error "not found"

function on_issue(event)
  return require "ffi"
end
