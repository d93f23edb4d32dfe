-- family: floods
-- attack: a key of a megabyte
-- expect: error "1 to 1024 bytes"

function on_issue(event)
  kv.set(("k"):rep(1e6), 1)
end
