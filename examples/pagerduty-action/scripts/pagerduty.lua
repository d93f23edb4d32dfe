-- An alert action: the person who makes an alert rule in Sentry chooses a PagerDuty service, and
-- the rule opens an incident there. A metric alert that is resolved resolves it.

local pagerduty = require "pagerduty_api"

local KEPT = "30d" -- how long an incident is remembered, to be resolved

-- The same for every firing of a rule about the same thing, so that it is one incident.
local function incident_key(event)
  if event.resource == "metric_alert" then return "sentry-metric-" .. event.data.metric_alert.id end
  if event.resource == "event_alert" then
    return "sentry-issue-" .. tostring(event.error.issue_id or event.error.event_id)
  end
  return "sentry-issue-" .. event.data.issue.id
end

local function resolve(key)
  local id = kv.get("pagerduty/" .. key)
  if not id then return end
  step("resolve", function() pagerduty.resolve(id) end)
  kv.delete("pagerduty/" .. key)
  log.info("resolved the incident", { incident = id })
end

local function details(settings, alert)
  local lines = {}
  if settings.note and settings.note ~= "" then lines[#lines + 1] = settings.note end
  if alert.url then lines[#lines + 1] = alert.url end
  return table.concat(lines, "\n")
end

alert_action {
  title = "Open a PagerDuty incident",
  description = "The incident is resolved with the alert",
  fields = {
    {
      name = "service",
      label = "Service",
      type = "select",
      required = true,
      async = true,
      options = function(q)
        local found = {}
        for i, service in ipairs(pagerduty.services(q.query)) do
          found[i] = { value = service.id, label = service.name }
        end
        return found
      end,
    },
    {
      name = "urgency",
      label = "Urgency",
      type = "select",
      options = { { value = "high", label = "High" }, { value = "low", label = "Low" } },
    },
    { name = "note", label = "Note for whoever is paged", type = "textarea" },
  },

  -- What this refuses is shown to the person who saves the rule.
  validate = function(settings)
    if not pagerduty.has_service(settings.service) then
      return nil, "PagerDuty has no such service any more: choose another"
    end
    return true
  end,

  fire = function(settings, alert, event)
    local key = incident_key(event)
    if event.resource == "metric_alert" and event.action == "resolved" then return resolve(key) end
    if alert.settings_missing then
      -- Sentry sends some metric alerts without what the rule was set to.
      settings = { service = secret "PAGERDUTY_DEFAULT_SERVICE" }
    end

    local id = step("open", function()
      return pagerduty.open {
        key = key,
        title = alert.title,
        service = settings.service,
        urgency = settings.urgency,
        details = details(settings, alert),
      }
    end)
    if not id then
      log.info("there is an open incident already", { key = key })
      return
    end
    kv.set("pagerduty/" .. key, id, { ttl = KEPT })
    log.info("opened an incident", { incident = id, service = settings.service })
  end,
}
