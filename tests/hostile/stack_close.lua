-- family: C stack
-- attack: 20,000 coroutine.close nested in __close
-- expect: error "stack overflow|CPU limit|memory limit"

function on_issue(event)
  local function nest(n)
    local co
    co = coroutine.create(function()
      local x <close> = setmetatable({}, { __close = function() if n > 0 then nest(n - 1) end end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert(coroutine.close(co))
  end
  nest(20000)
end
