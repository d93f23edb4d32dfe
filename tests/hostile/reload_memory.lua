-- family: during reload
-- attack: the next version fills its memory as it loads
-- expect: reload error "memory limit"

local t = {} while true do t[#t + 1] = ("x"):rep(1e6) .. #t end
