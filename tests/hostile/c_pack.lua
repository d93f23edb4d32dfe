-- family: loops in C
-- attack: string.pack with an alignment and a size beyond all bounds
-- expect: error "out of limits|not power of 2"

function on_issue(event)
  return string.pack("!16i999", 1)
end
