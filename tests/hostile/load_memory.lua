-- family: at load time
-- attack: memory at the top level
-- expect: load error "memory limit"

local t = {} while true do t[#t + 1] = ("x"):rep(1e6) .. #t end
