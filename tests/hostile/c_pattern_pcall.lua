-- family: loops in C
-- attack: the same, in a loop of pcall
-- expect: error "CPU limit"

function on_issue(event)
  while true do pcall(string.match, ("a"):rep(1000), ".-.-.-.-b$") end
end
