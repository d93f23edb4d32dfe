-- family: at load time
-- attack: a wait at the top level
-- expect: load error "cannot wait"

sleep(1)
