-- family: escapes
-- attack: a wait in a comparison
-- expect: error "cannot wait"

function on_issue(event)
  table.sort({ 2, 1 }, function() sleep(0) end)
end
