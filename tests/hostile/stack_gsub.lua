-- family: C stack
-- attack: gsub in the replacement of gsub without end
-- expect: error "stack overflow"

function on_issue(event)
  local function f() return (("a"):gsub(".", f)) end
  f()
end
