-- family: garbage collector
-- attack: the same, with __mode set when the metatable is there already
-- expect: killed

function on_issue(event)
  local mt = {}
  local t, keys = setmetatable({}, mt), {}
  mt.__mode = "k"
  for i = 1, 30000 do keys[i] = {} end
  for i = 30000, 2, -1 do
    local k = math.random(i)
    keys[i], keys[k] = keys[k], keys[i]
  end
  for i = 1, 29999 do t[keys[i]] = keys[i + 1] end
  local first = keys[1]
  keys = nil
  while true do collectgarbage() end
end
