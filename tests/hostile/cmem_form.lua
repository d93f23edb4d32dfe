-- family: memory of C
-- attack: a form that becomes three times as long
-- expect: error "memory limit|CPU limit"

function on_comment(event)
  http.post("@PEER@/ok", { form = { a = (" "):rep(6e6):gsub(" ", "\1") } })
end
