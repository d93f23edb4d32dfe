local testing = require "testing"

local API = "https://api.postmarkapp.com/email"

local function load()
  local t = testing.load "email"
  t:secret("POSTMARK_TOKEN", "pm-0123456789")
  t:secret("MAIL_FROM", "sentry@example.com")
  t:secret("MAIL_TO", "ada@example.com")
  return t
end

local function alert(title)
  return "event_alert.triggered",
    { data = { event = { title = title }, triggered_rule = "Checkout" } }
end

function test_an_alert_is_mailed_once()
  local t = load()
  t:http("POST", API, { json = { ErrorCode = 0 } })
  local run = t:deliver(alert "KeyError:\r\nBcc: everyone@example.com")
  testing.equal(run.outcome, "done")
  local mail = json.decode(run.calls[1].body)
  testing.equal(mail.Subject, "[Sentry] KeyError: Bcc: everyone@example.com")
  testing.matches(mail.TextBody, "Rule: Checkout")
  testing.equal(#t:redeliver(run).calls, 0)
end

function test_a_provider_that_refuses_is_asked_again()
  local t = load()
  t:http("POST", API, { status = 422, body = "inactive recipient" })
  testing.matches(t:deliver(alert "KeyError").error, "Postmark answered 422: inactive recipient")
end
