-- family: at load time
-- attack: a handler with a name of a megabyte
-- expect: load error "handler"

_G["on_" .. ("x"):rep(1e6)] = print
