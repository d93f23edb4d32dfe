-- family: floods
-- attack: a reason of four megabytes
-- expect: dropped

function on_issue(event)
  event:drop(("x"):rep(4e6))
end
