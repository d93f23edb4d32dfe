-- family: memory of C
-- attack: json.decode of a short text that is long on the parser's tape
-- expect: error "memory limit|too long"

function on_issue(event)
  local s = "[" .. ("0,"):rep(2e6) .. "0]"
  local keep = {}
  for i = 1, 100 do
    local value, why = json.decode(s)
    if not value then error(why) end
    keep[i] = value
  end
end
