-- family: floods
-- attack: print, over and over
-- expect: error "CPU limit"

function on_issue(event)
  while true do print("x", {}, 1) end
end
