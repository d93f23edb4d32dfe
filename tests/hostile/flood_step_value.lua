-- family: floods
-- attack: a step's result of a megabyte
-- expect: error "too large"

function on_issue(event)
  step("s", function() return ("x"):rep(1e6) end)
end
