-- family: during reload
-- attack: the next version is half saved
-- expect: reload error "expected"

function on_event(event
