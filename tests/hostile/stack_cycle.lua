-- family: C stack
-- attack: json.encode of a table that contains itself
-- expect: error "contains itself"

function on_issue(event)
  local t = {} t.t = { t } json.encode(t)
end
