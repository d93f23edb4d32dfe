-- family: at load time
-- attack: a hundred thousand handlers
-- expect: load error "handlers"

for i = 1, 1e5 do _G["on_x" .. i] = print end
