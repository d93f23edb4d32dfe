-- family: loops in C
-- attack: a plain find that is quadratic in Lua's own
-- expect: error "CPU limit"

function on_issue(event)
  local s, what = ("a"):rep(4e6), ("a"):rep(2e6) .. "b"
  while true do s:find(what, 1, true) end
end
