-- family: loops in C
-- attack: random bytes, over and over
-- expect: error "CPU limit|random"

function on_issue(event)
  while true do crypto.random(1e6) end
end
