-- family: loops in C
-- attack: cjson.decode of a long text, over and over
-- expect: error "CPU limit"

function on_issue(event)
  local cjson = require "cjson"
  local s = "[" .. ("1,"):rep(1e5) .. "1]"
  while true do pcall(cjson.decode, s) end
end
