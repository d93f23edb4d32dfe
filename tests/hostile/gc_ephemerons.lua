-- family: garbage collector
-- attack: weak keys whose values lead to one another: the collector is quadratic and has no hook
-- expect: killed

function on_issue(event)
  local t = setmetatable({}, { __mode = "k" })
  local keys = {}
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
