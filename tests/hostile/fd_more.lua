-- family: descriptors
-- attack: more requests at once than are allowed
-- expect: error "more than 1000"

function on_comment(event)
  local list = {}
  for i = 1, 1001 do list[i] = { url = "@PEER@/ok" } end
  http.all(list)
end
