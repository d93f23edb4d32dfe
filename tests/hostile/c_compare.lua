-- family: loops in C
-- attack: comparisons of two long strings that are equal
-- expect: error "CPU limit"

function on_issue(event)
  local a, b = ("x"):rep(4e6) .. "a", ("x"):rep(4e6) .. "b"
  while true do local _ = a < b end
end
