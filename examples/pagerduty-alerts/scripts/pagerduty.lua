-- Metric alerts open a PagerDuty incident and close it again.

local KEY = secret "PAGERDUTY_ROUTING_KEY"
local URL = secret "PAGERDUTY_URL"

local severities = { critical = "critical", warning = "warning" }

function on_metric_alert(event)
  local data = event.data
  local alert = data.metric_alert

  local res = assert(http.post(URL, {
    timeout = 5,
    json = {
      routing_key = KEY,
      -- One incident an alert: sent again with the same key, it changes nothing.
      dedup_key = "sentry-metric-alert-" .. alert.id,
      event_action = event.action == "resolved" and "resolve" or "trigger",
      payload = {
        summary = data.description_title or alert.title,
        source = table.concat(alert.projects, ", "),
        severity = severities[event.action] or "info",
        custom_details = { rule = alert.alert_rule.name, what = data.description_text },
      },
      links = { { href = data.web_url, text = "Sentry" } },
    },
  }))
  if not res.ok then
    error("PagerDuty answered " .. res.status .. ": " .. res.body)
  end
  log.info("told PagerDuty", { alert = alert.id, action = event.action })
end
