-- family: loops in C
-- attack: gmatch with a pattern that backtracks
-- expect: error "CPU limit"

function on_issue(event)
  for x in ("a"):rep(4000):gmatch(".-.-.-b") do end
end
