-- family: loops in C
-- attack: a format with a width of 99999
-- expect: error "invalid conversion"

function on_issue(event)
  return ("%99999d"):format(1)
end
