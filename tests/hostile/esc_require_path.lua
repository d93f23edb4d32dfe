-- family: escapes
-- attack: a file outside of lib by require
-- expect: done

function on_issue(event)
  for _, name in ipairs { "../canary", "/etc/passwd", "..canary", "lib/../../canary", "canary", "../scripts/esc_require_path",
      "esc_require_path", "", ".", "\0", ("../"):rep(20) .. "etc/passwd" } do
    local ok, why = pcall(require, name)
    assert(not ok and tostring(why):find("not found"), name .. tostring(why))
  end
end
