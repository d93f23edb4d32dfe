-- family: escapes
-- attack: the machine itself and its network, in every spelling
-- expect: done

function on_comment(event)
  for _, host in ipairs { "10.0.0.1", "0xa.0.0.1", "012.0.0.1", "167772161", "0x0a000001", "10.1", "169.254.169.254", "2852039166",
      "0xA9FEA9FE", "0251.0376.0251.0376", "[::ffff:10.0.0.1]", "[::ffff:a00:1]", "[64:ff9b::a00:1]", "[fc00::1]", "[fe80::1]",
      "0.0.0.0", "[::]", "192.168.1.1", "172.16.0.1", "100.64.0.1", "224.0.0.1", "255.255.255.255", "[2002:a00:1::]" } do
    local res, why, code = http.get("http://" .. host .. "/", { timeout = 1 })
    assert(res == nil and code == "blocked", host .. " " .. tostring(code))
  end
end
