-- family: during reload
-- attack: the next version is good, and loops in its handler
-- expect: reload error_in_run "CPU limit"

function on_issue() while true do end end
