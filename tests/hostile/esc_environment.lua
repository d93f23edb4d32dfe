-- family: escapes
-- attack: _G and _ENV turned over: nobody else notices
-- expect: done

function on_issue(event)
  local g, set, is = _G, setmetatable, assert
  for name in pairs(g) do g[name] = nil end
  set(g, { __index = function() return nil end, __newindex = function() end })
  is(log == nil and print == nil)
  is(("x"):rep(2) == "xx")
end
