-- Runs for every error event, and when an issue alert rule fires: event.error
-- is the error event in both cases.
--
--   moonpost send error.created
--   moonpost send event_alert.triggered

-- The innermost frame of the code that is yours, newest last in Sentry's order.
local function culprit(err)
  local values = err.exception and err.exception.values or {}
  local last = values[#values]
  local frames = last and last.stacktrace and last.stacktrace.frames or {}
  for i = #frames, 1, -1 do
    if frames[i].in_app then
      return frames[i].filename .. ":" .. tostring(frames[i].lineno)
    end
  end
  return err.culprit
end

function on_error(event)
  local err = event.error

  log.info("error " .. err.event_id:sub(1, 8), {
    title = err.title,
    where = culprit(err),
    project = err.project, -- a whole number of 16 digits, and it stays one
    rule = event.data.triggered_rule,
  })
end
