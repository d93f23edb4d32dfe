-- family: loops in Lua
-- attack: a replacement that never ends
-- expect: error "CPU limit"

function on_issue(event)
  while true do pcall(string.gsub, "abc", ".", function() while true do end end) end
end
