-- family: C stack
-- attack: cjson.decode of five million brackets
-- expect: error "nest"

function on_issue(event)
  require "cjson".decode(("["):rep(5e6))
end
