-- family: memory of C
-- attack: forty answers of four megabytes at once
-- expect: error "memory limit"

function on_comment(event)
  local list = {}
  for i = 1, 40 do list[i] = { url = "@PEER@/big?" .. i } end
  local all = http.all(list)
  local bytes = 0
  for i = 1, #all do bytes = bytes + #(all[i].body or "") end
  log.info("ESCAPED", { bytes = bytes })
end
