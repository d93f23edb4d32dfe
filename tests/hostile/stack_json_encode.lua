-- family: C stack
-- attack: json.encode of what is nested without end
-- expect: error "nested too deep"

function on_issue(event)
  local t = {}
  for i = 1, 1e5 do t = { t } end
  json.encode(t)
end
