-- family: loops in C
-- attack: utf8.len of a long text, over and over
-- expect: error "CPU limit"

function on_issue(event)
  local s = ("\u{10FFFF}"):rep(1e6) while true do utf8.len(s) end
end
