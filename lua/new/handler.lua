-- Runs when Sentry sends @RESOURCE@.
--
--   moonpost test                 try it, with what is in @NAME@_test.lua
--   moonpost send @EVENT@
--                                 post a sample to a running host

function @HANDLER@(event)
  -- event.data is what happened; `moonpost types --out types` tells an editor all of it.
  log.info("@RESOURCE@ " .. (event.action or "received"), { received_at = event.received_at })
end
