-- family: at load time
-- attack: an error that is no text
-- expect: load error "error object"

error({})
