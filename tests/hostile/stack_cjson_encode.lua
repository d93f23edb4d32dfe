-- family: C stack
-- attack: cjson.encode of what is nested without end
-- expect: error "nest"

function on_issue(event)
  local t = {}
  for i = 1, 1e5 do t = { t } end
  require "cjson".encode(t)
end
