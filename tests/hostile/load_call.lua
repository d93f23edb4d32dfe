-- family: at load time
-- attack: a request at the top level
-- expect: load error "cannot wait"

http.get("@PEER@/ok")
