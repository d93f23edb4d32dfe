-- family: memory of Lua
-- attack: a global that keeps everything
-- expect: error "memory limit"

kept = {}
function on_issue(event)
  while true do kept[#kept + 1] = ("x"):rep(1e6) .. #kept end
end
