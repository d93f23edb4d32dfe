-- family: C stack
-- attack: sort in the comparison of sort without end
-- expect: error "stack overflow"

function on_issue(event)
  local function f() table.sort({ 1, 2 }, f) return true end
  f()
end
