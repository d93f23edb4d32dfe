-- Runs when a metric alert crosses a threshold or is resolved, when an issue
-- alert rule fires, and for alerts on what happens to an issue.
--
--   moonpost send metric_alert.critical
--   moonpost send metric_alert.resolved
--   moonpost send activity_alert.triggered

local levels = { critical = log.error, warning = log.warn }

-- A script may have a handler for one resource and one for the rest.
function on_metric_alert(event)
  local alert = event.data.metric_alert
  local say = levels[event.action] or log.info

  say("metric alert " .. event.action, {
    title = event.data.description_title or alert.title,
    details = event.data.description_text,
    url = event.data.web_url,
  })
end

function on_alert(event)
  log.info("alert " .. event.action, {
    resource = event.resource,
    rule = event.data.triggered_rule or event.data.alert and event.data.alert.title,
  })
end
