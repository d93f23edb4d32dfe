-- family: during reload
-- attack: the next version waits as it loads
-- expect: reload error "cannot wait"

sleep(10) function on_event() end
