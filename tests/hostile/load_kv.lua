-- family: at load time
-- attack: a write at the top level
-- expect: load error "cannot wait"

kv.set("k", 1)
