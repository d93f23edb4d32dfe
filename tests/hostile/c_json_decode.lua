-- family: loops in C
-- attack: json.decode of a long text, over and over
-- expect: error "CPU limit"

function on_issue(event)
  local s = "[" .. ("1,"):rep(1e5) .. "1]"
  while true do json.decode(s) end
end
