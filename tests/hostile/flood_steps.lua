-- family: floods
-- attack: steps without end
-- expect: error "steps|handler deadline"

function on_issue(event)
  for i = 1, 1e6 do step("s" .. i, function() return i end) end
end
