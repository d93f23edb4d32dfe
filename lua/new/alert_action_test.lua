-- moonpost test

local testing = require "testing"

local PAGER = "https://pager.example/alerts"

local function load()
  local t = testing.load "@NAME@"
  t:secret("PAGER_URL", PAGER)
  return t
end

function test_settings_are_checked()
  local t = load()
  testing.equal(t:ui("alert-rule-action", { service = "api" }).status, 200)
  local form = t:ui("alert-rule-action", { service = "api", note = ("x"):rep(201) })
  testing.equal(form.status, 400)
  testing.matches(form.body.message, "longer than 200")
end

function test_an_alert_is_posted_once()
  local t = load()
  t:http("POST", PAGER, { status = 503 })
  local run = t:deliver "event_alert.triggered"
  testing.equal(run.outcome, "error")

  t:http("POST", PAGER, { status = 201 })
  local again = t:redeliver(run)
  testing.equal(again.outcome, "done", again.error)
  testing.is_true(again.calls[1].json.text)
  testing.equal(#t:redeliver(again).calls, 0)
end
