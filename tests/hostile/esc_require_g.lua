-- family: escapes
-- attack: the library _G by require
-- expect: error "not found"

function on_issue(event)
  return require "_G"
end
