-- family: C stack
-- attack: a pattern that nests too deep
-- expect: error "pattern too complex|CPU limit|too many captures"

function on_issue(event)
  return (("x"):rep(1e6)):match(("(.-)"):rep(31) .. "y")
end
