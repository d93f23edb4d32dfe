-- family: loops in C
-- attack: os.date with a conversion that does not exist
-- expect: error "invalid conversion"

function on_issue(event)
  return os.date("%Ez%Q")
end
