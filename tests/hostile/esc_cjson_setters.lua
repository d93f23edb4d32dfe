-- family: escapes
-- attack: the depth of cjson set to a billion
-- expect: error "cannot be changed"

function on_issue(event)
  require "cjson".decode_max_depth(1 << 30)
end
