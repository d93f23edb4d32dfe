-- family: loops in C
-- attack: os.date with a long format
-- expect: error "format of os.date"

function on_issue(event)
  local f = ("%c"):rep(1e6) while true do os.date(f) end
end
