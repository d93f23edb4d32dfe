-- family: loops in C
-- attack: nothing, 2^60 times
-- expect: done

function on_issue(event)
  assert(("").rep("", 1 << 60) == "")
end
