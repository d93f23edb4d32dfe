-- family: lookups that hang
-- attack: a hundred names whose server never answers
-- expect: error "handler deadline|lookups over"

function on_comment(event)
  local list = {}
  for i = 1, 100 do list[i] = { url = "http://name" .. i .. ".hang.test/", timeout = 60 } end
  local all = http.all(list)
  error("lookups over")
end
