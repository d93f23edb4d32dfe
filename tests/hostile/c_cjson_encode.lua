-- family: loops in C
-- attack: cjson.encode of the same table, over and over
-- expect: error "CPU limit"

function on_issue(event)
  local cjson, t = require "cjson", {}
  for i = 1, 2e4 do t[i] = { i } end
  while true do pcall(cjson.encode, t) end
end
