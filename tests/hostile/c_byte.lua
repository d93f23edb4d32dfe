-- family: loops in C
-- attack: string.byte of a megabyte
-- expect: error "too long|too many"

function on_issue(event)
  return ("x"):rep(4e6):byte(1, -1)
end
