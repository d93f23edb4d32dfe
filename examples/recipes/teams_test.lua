local testing = require "testing"

local HOOK = "https://prod.example.azure.com/workflows/1"

function test_a_metric_alert_becomes_a_card()
  local t = testing.load "teams"
  t:secret("TEAMS_WEBHOOK_URL", HOOK)
  t:http("POST", HOOK, { status = 202 })
  local run = t:deliver("metric_alert.critical", {
    data = { description_title = "Critical: errors" },
  })
  testing.equal(run.outcome, "done")
  local card = json.decode(run.calls[1].body).attachments[1].content
  testing.equal(card.body[1].text, "Critical: errors")
  testing.equal(card.body[1].color, "Attention")
end

function test_a_refusal_is_tried_again()
  local t = testing.load "teams"
  t:secret("TEAMS_WEBHOOK_URL", HOOK)
  t:http("POST", HOOK, { status = 400, body = "bad card" })
  local run = t:deliver "metric_alert.resolved"
  testing.equal(run.outcome, "error")
  testing.matches(run.error, "Teams answered 400: bad card")
end
