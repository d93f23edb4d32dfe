-- family: memory of C
-- attack: base64 of what nearly fills the memory
-- expect: error "memory limit"

function on_issue(event)
  local s = ("x"):rep(9e6)
  return crypto.base64(s)
end
