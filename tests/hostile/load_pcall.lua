-- family: at load time
-- attack: a loop at the top level that catches its end
-- expect: load error "CPU limit"

while true do pcall(function() while true do end end) end
