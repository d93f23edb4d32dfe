-- family: floods
-- attack: an error that is a huge table
-- expect: error "error object is a table"

function on_issue(event)
  local t = {}
  for i = 1, 1e4 do t[i] = { i } end
  error(t)
end
