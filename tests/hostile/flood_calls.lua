-- family: floods
-- attack: three hundred calls: two hundred are kept
-- expect: done

function on_comment(event)
  for i = 1, 6 do
    local list = {}
    for k = 1, 50 do list[k] = { url = "@PEER@/ok" } end
    http.all(list)
  end
end
