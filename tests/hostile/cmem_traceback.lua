-- family: memory of C
-- attack: a traceback without end
-- expect: error "deep"

function on_issue(event)
  local function f(n) if n == 0 then error("deep") end f(n - 1) return 1 end f(10000)
end
