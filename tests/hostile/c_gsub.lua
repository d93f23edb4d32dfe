-- family: loops in C
-- attack: gsub with a pattern that backtracks
-- expect: error "CPU limit"

function on_issue(event)
  return (("a"):rep(4000):gsub(".-.-.-b", "x"))
end
