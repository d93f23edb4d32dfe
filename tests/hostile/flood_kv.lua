-- family: floods
-- attack: values of 64 KiB without end
-- expect: error "handler deadline|full|limit"

function on_issue(event)
  local value = ("x"):rep(65000)
  local i = 0
  while true do i = i + 1 kv.set("flood" .. i, value) end
end
