-- family: loops in C
-- attack: json.decode of what is no JSON until its end
-- expect: error "CPU limit"

function on_issue(event)
  local s = ("["):rep(100) .. ("1,"):rep(2e5)
  while true do json.decode(s) end
end
