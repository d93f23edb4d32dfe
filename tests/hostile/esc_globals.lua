-- family: escapes
-- attack: every door to the machine that Lua has
-- expect: done

function on_issue(event)
  for _, name in ipairs { "io", "debug", "package", "load", "loadstring", "loadfile", "dofile", "warn", "module", "newproxy" } do
    assert(_G[name] == nil and _ENV[name] == nil, name)
  end
  for _, name in ipairs { "execute", "exit", "getenv", "remove", "rename", "setlocale", "tmpname" } do
    assert(os[name] == nil, name)
  end
  assert(string.dump == nil)
end
