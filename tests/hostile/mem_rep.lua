-- family: memory of Lua
-- attack: a string of a terabyte
-- expect: error "memory limit|too large"

function on_issue(event)
  return ("x"):rep(1 << 40)
end
