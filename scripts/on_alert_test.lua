local testing = require "testing"

local function deliver(event, overrides)
  local run = testing.load("on_alert"):deliver(event, overrides)
  testing.equal(run.outcome, "done", run.error)
  testing.equal(#run.log, 1)
  return run.log[1]
end

function test_a_metric_alert_has_the_level_of_its_action()
  local levels = { critical = "error", warning = "warn", resolved = "info" }
  for action, level in pairs(levels) do
    local line = deliver("metric_alert." .. action, { data = { description_title = "Too slow" } })
    testing.equal(line.level, level, action)
    testing.equal(line.message, "metric alert " .. action)
    testing.equal(line.fields.title, "Too slow")
  end
end

function test_an_issue_alert_names_its_rule()
  local line = deliver("event_alert.triggered", { data = { triggered_rule = "Very important" } })
  testing.equal(line.message, "alert triggered")
  testing.equal(line.fields.rule, "Very important")
  testing.equal(line.fields.resource, "event_alert")
end

function test_an_activity_alert_is_told()
  testing.equal(deliver("activity_alert.triggered").fields.resource, "activity_alert")
end
