-- family: at load time
-- attack: a loop at the top level
-- expect: load error "CPU limit"

while true do end
