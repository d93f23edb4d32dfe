local testing = require "testing"

local API = "https://api.pagerduty.com"

local function load()
  local t = testing.load "pagerduty"
  t:secret("PAGERDUTY_TOKEN", "pd-token-0123456789")
  t:secret("PAGERDUTY_FROM", "ada@example.com")
  t:secret("PAGERDUTY_DEFAULT_SERVICE", "PDEFAULT")
  return t
end

local function alert(settings)
  return "event_alert.triggered",
    {
      data = {
        event = { issue_id = "61", title = "KeyError" },
        triggered_rule = "Checkout",
        issue_alert = {
          id = 99,
          title = "Checkout",
          sentry_app_id = 1,
          settings = settings or {
            { name = "service", value = "PIJ90N7" },
            { name = "urgency", value = "low" },
            { name = "note", value = "See the wiki" },
          },
        },
      },
    }
end

function test_the_form_offers_services()
  local t = load()
  t:http("GET", API .. "/services*", { json = { services = { { id = "P1", name = "Shop" } } } })
  local form = t:ui("options/service", { query = "sho" })
  testing.equal(form.status, 200)
  testing.same(form.body, { { value = "P1", label = "Shop" } })
end

function test_a_rule_with_a_service_can_be_saved()
  local t = load()
  t:http("GET", API .. "/services/P1", { json = { service = { id = "P1" } } })
  testing.equal(t:ui("alert-rule-action", { service = "P1" }).status, 200)
end

function test_a_service_that_is_gone_is_refused()
  local t = load()
  t:http("GET", API .. "/services/P1", { status = 404 })
  local form = t:ui("alert-rule-action", { service = "P1" })
  testing.equal(form.status, 400)
  testing.matches(form.body.message, "no such service")
end

function test_a_service_has_to_be_chosen()
  local form = load():ui("alert-rule-action", { note = "hurry" })
  testing.equal(form.status, 400)
  testing.matches(form.body.message, "Service")
end

function test_a_peer_that_hangs_is_said_to_the_person()
  local t = load()
  t:http("GET", API .. "/services*", { error = "timeout" })
  testing.equal(t:ui("options/service", {}).status, 502)
end

function test_a_rule_opens_an_incident()
  local t = load()
  t:http("POST", API .. "/incidents", { status = 201, json = { incident = { id = "Q1" } } })
  local run = t:deliver(alert())
  testing.equal(run.outcome, "done")
  local sent = json.decode(run.calls[1].body).incident
  testing.equal(sent.title, "Checkout")
  testing.equal(sent.service.id, "PIJ90N7")
  testing.equal(sent.urgency, "low")
  testing.equal(sent.incident_key, "sentry-issue-61")
  testing.matches(sent.body.details, "See the wiki")
end

function test_a_second_firing_adds_none()
  local t = load()
  local body = { error = { errors = { "Open incident with matching dedup key already exists" } } }
  t:http("POST", API .. "/incidents", { status = 400, json = body })
  testing.equal(t:deliver(alert()).outcome, "done")
end

function test_a_retry_after_a_refusal_opens_one()
  local t = load()
  t:http("POST", API .. "/incidents", { status = 500, body = "oops" })
  local run = t:deliver(alert())
  testing.equal(run.outcome, "error")
  testing.matches(run.error, "PagerDuty answered 500: oops")

  t:http("POST", API .. "/incidents", { status = 201, json = { incident = { id = "Q1" } } })
  local again = t:redeliver(run)
  testing.equal(again.outcome, "done")
  testing.equal(again.steps[1].name, "open")
end

function test_a_metric_alert_without_settings_pages_the_default_and_is_resolved()
  local t = load()
  t:http("POST", API .. "/incidents", { status = 201, json = { incident = { id = "Q2" } } })
  local bare = { id = "812", alert_rule = { triggers = json.array {} } }
  local run = t:deliver("metric_alert.critical", { data = { metric_alert = bare } })
  testing.equal(run.outcome, "done")
  testing.equal(json.decode(run.calls[1].body).incident.service.id, "PDEFAULT")

  t:http("PUT", API .. "/incidents/Q2", { json = {} })
  run = t:deliver("metric_alert.resolved", { data = { metric_alert = { id = "812" } } })
  testing.equal(run.outcome, "done")
  testing.matches(run.calls[1].body, "resolved")
  testing.equal(t:kv "pagerduty/sentry-metric-812", nil)
end

function test_a_resolution_of_what_was_never_opened_does_nothing()
  local run = load():deliver("metric_alert.resolved", { data = { metric_alert = { id = "812" } } })
  testing.equal(run.outcome, "done")
  testing.equal(#run.calls, 0)
end
