-- family: memory of C
-- attack: cjson.decode that loses its buffer when memory runs out, over and over
-- expect: error "memory limit|CPU limit"

function on_issue(event)
  local cjson, keep = require "cjson", {}
  local s = "[" .. ("[[]],"):rep(4e5) .. "0]"
  for i = 1, 1e6 do
    local ok, value = pcall(cjson.decode, s)
    if ok then keep[#keep + 1] = value end
  end
end
