-- family: escapes
-- attack: bytecode through every door that takes a chunk
-- expect: done

function on_issue(event)
  assert(load == nil and loadstring == nil and string.dump == nil)
  local ok = pcall(function() return require("\27Lua\84\0\25\147\13\10\26\10") end)
  assert(not ok)
end
