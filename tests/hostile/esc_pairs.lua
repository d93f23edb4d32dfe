-- family: escapes
-- attack: the table behind a library by pairs and next
-- expect: done

function on_issue(event)
  assert(next(string) == nil and rawget(string, "rep") == nil and #string == 0)
  for name, f in pairs(string) do assert(type(name) == "string" and type(f) == "function") end
  assert(getmetatable(string) == false and getmetatable(http) == false and getmetatable("") == false)
end
