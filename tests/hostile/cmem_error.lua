-- family: memory of C
-- attack: an error of four megabytes
-- expect: error "^xxxxx"

function on_issue(event)
  error(("x"):rep(4e6), 0)
end
