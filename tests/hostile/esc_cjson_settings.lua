-- family: escapes
-- attack: every setting of cjson, also of a new one
-- expect: done

function on_issue(event)
  local cjson = require "cjson"
  for _, lib in ipairs { cjson, require "cjson.safe" } do
    assert(lib.new == nil)
    for name, f in pairs(lib) do
      if type(f) == "function" and name ~= "encode" and name ~= "decode" then
        assert(not pcall(f, 1 << 30), name)
      end
    end
    assert(not pcall(rawset, lib, "encode", print))
  end
  assert(cjson.null == json.null)
end
