-- family: C stack
-- attack: a pattern of a megabyte
-- expect: error "pattern too complex|CPU limit|malformed"

function on_issue(event)
  return (("a"):rep(1e6)):match(("a?"):rep(5e5) .. "b")
end
