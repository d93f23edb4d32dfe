-- family: escapes
-- attack: the host's own secrets, and those of another integration
-- expect: done

function on_issue(event)
  for _, name in ipairs { "MOONPOST_KEY", "MOONPOST_CANARY", "SENTRY_CLIENT_SECRET", "SENTRY_CLIENT_ID", "OTHER__TOKEN",
      "PATH;", "path", "../canary", "CANARY_FILE/../canary", "", ("A"):rep(1e5) } do
    local ok, value = pcall(secret, name)
    assert(not ok or value == nil, name)
  end
end
