-- family: memory of Lua
-- attack: a string longer than numbers can say
-- expect: error "too large"

function on_issue(event)
  return ("xx"):rep(math.maxinteger)
end
