-- family: during reload
-- attack: the next version loops as it loads: the last good one stays
-- expect: reload error "CPU limit"

while true do end
