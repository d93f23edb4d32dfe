-- family: loops in C
-- attack: a pattern that backtracks for ages
-- expect: error "CPU limit"

function on_issue(event)
  return ("a"):rep(400):find(".-.-.-b$")
end
