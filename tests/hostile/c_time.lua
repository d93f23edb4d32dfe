-- family: loops in C
-- attack: os.time with fields beyond all bounds
-- expect: error "out-of-bound|out of bounds|cannot be represented"

function on_issue(event)
  return os.time { year = 1 << 40, month = 1 << 40, day = 1 }
end
