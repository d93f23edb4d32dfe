-- family: floods
-- attack: a value of a megabyte
-- expect: error "too large"

function on_issue(event)
  kv.set("k", ("x"):rep(1e6))
end
