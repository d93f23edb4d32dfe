-- family: escapes
-- attack: the globals and locals of another script
-- expect: done

function on_issue(event)
  assert(NEIGHBOUR_SECRET == nil and _G.NEIGHBOUR_SECRET == nil)
  for name, value in pairs(_G) do assert(not tostring(value):find("neighbour%-canary")) end
end
