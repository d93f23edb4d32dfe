-- family: descriptors
-- attack: five hundred connections that nobody answers
-- expect: error "handler deadline"

function on_comment(event)
  local list = {}
  for i = 1, 500 do list[i] = { url = "@PEER@/hang", timeout = 60 } end
  http.all(list)
end
