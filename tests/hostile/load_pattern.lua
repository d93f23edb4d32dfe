-- family: at load time
-- attack: a pattern that backtracks at the top level
-- expect: load error "CPU limit"

return ("a"):rep(400):find(".-.-.-b$")
