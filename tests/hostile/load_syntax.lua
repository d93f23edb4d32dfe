-- family: at load time
-- attack: no Lua
-- expect: load error "expected"

function on_event( end
