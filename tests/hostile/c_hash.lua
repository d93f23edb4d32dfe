-- family: loops in C
-- attack: hashes of a long text, over and over
-- expect: error "CPU limit"

function on_issue(event)
  local s = ("x"):rep(4e6) while true do crypto.sha256(s) end
end
