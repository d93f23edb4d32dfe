-- family: loops in C
-- attack: base64 there and back, over and over
-- expect: error "CPU limit"

function on_issue(event)
  local s = ("x"):rep(1e6) while true do crypto.unbase64(crypto.base64(s)) end
end
