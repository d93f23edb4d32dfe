-- family: at load time
-- attack: recursion at the top level
-- expect: load error "stack overflow|memory limit"

local function f() return 1 + f() end f()
