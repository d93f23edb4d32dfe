-- family: C stack
-- attack: json.decode of a million brackets
-- expect: done

function on_issue(event)
  local value, why = json.decode(("["):rep(1e6))
  assert(value == nil and why:find("deep"), why)
end
