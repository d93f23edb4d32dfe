-- Deliveries, components and schedules of a script, as a test of handlers has them.

local testing = require "testing"

local TRACKER = "https://tracker.example/rest"
local ISSUE = { data = { issue = { id = "61", title = "KeyError: 'x'" } } }

local function world()
  local t = testing.load "world"
  t:secret("TRACKER_URL", TRACKER)
  return t
end

function test_a_delivery_from_its_sample_to_its_end()
  testing.set_time "2026-01-31T09:00:00Z"
  local t = world()
  local call = t:http("POST", "https://tracker.example/*", { status = 201, json = { key = "OPS-1" } })
  local run = t:deliver("issue.created", ISSUE)

  testing.equal(run.outcome, "done")
  testing.equal(run.error, nil)
  testing.equal(run.handler, "on_issue")
  testing.equal(run.attempt, 1)
  testing.equal(run.after, nil)
  testing.equal(run.duration, 20)

  testing.equal(#run.calls, 1)
  testing.equal(run.calls[1], call.calls[1])
  testing.equal(run.calls[1].method, "POST")
  testing.equal(run.calls[1].url, TRACKER)
  testing.equal(run.calls[1].status, 201)
  testing.equal(run.calls[1].timeout, 5)
  testing.same(run.calls[1].json, { title = "KeyError: 'x'", mark = "issue/created" })
  testing.equal(run.calls[1].headers["content-type"], "application/json")
  testing.matches(run.calls[1].headers["Idempotency-Key"], "^%x+$")

  testing.equal(#run.steps, 1)
  testing.equal(run.steps[1].name, "ticket")
  testing.equal(run.steps[1].result, "OPS-1")
  testing.equal(run.steps.ticket, "OPS-1")
  testing.equal(run.steps.other, nil)

  testing.equal(#run.log, 1)
  testing.equal(run.log[1].level, "info")
  testing.equal(run.log[1].message, "linked")
  testing.same(run.log[1].fields, { ticket = "OPS-1", at = 1769850020 })
  testing.equal(run.log[1].at, 1769850020)
  testing.same(t:kv "seen/61", { at = 1769850000, attempt = 1 })
end

function test_the_next_attempt_keeps_its_steps()
  local t = world()
  t:http("POST", TRACKER, { status = 503 })
  local run = t:deliver("issue.created", ISSUE)
  testing.equal(run.outcome, "error")
  testing.matches(run.error, "world.lua:%d+: the tracker is down: 503$")
  testing.matches(run.traceback, "in handler on_issue")
  testing.equal(run.after, 1)
  testing.equal(#run.steps, 0)

  t:http("POST", TRACKER, { json = { key = "OPS-2" } })
  local again = t:redeliver(run)
  testing.equal(again.outcome, "done")
  testing.equal(again.attempt, 2)
  testing.equal(again.calls[1].headers["Idempotency-Key"], run.calls[1].headers["Idempotency-Key"])
  testing.equal(run.outcome, "error", "the first is what it was")

  local third = t:redeliver(again)
  testing.equal(third.outcome, "done")
  testing.equal(#third.calls, 0)
  testing.equal(third.steps.ticket, "OPS-2")
end

function test_what_event_retry_and_drop_come_to()
  local t = world()
  local run = t:deliver "issue.ignored"
  testing.equal(run.outcome, "dropped")
  testing.equal(run.reason, "nobody cares")
  testing.equal(run.after, nil)
  run = t:deliver("issue.resolved", ISSUE)
  testing.equal(run.outcome, "retry")
  testing.equal(run.reason, "not yet")
  testing.equal(run.after, 600)
end

function test_time_brings_the_next_attempt()
  local t = world()
  local run = t:deliver("issue.resolved", ISSUE)
  t:kv("sweeps", 100)
  t:advance(599)
  testing.equal(run.outcome, "retry")
  testing.equal(run.attempt, 1)
  t:http("POST", TRACKER, { json = { key = "OPS-3" } })
  t:advance(1)
  testing.equal(run.outcome, "done")
  testing.equal(run.attempt, 2)
  testing.equal(run.steps.ticket, "OPS-3")
  testing.equal(t:kv("seen/61").attempt, 2)
  t:advance("59m")
  testing.is_true(t:kv "seen/61")
  t:advance "1m"
  testing.equal(t:kv "seen/61", nil, "its ttl is over")
end

function test_a_handler_that_is_not_there()
  local run = testing.load("plain", "function on_isue() end"):deliver "issue.created"
  testing.equal(run.outcome, "unhandled")
  testing.equal(run.error, "plain defines none of on_issue, on_event")
  testing.equal(run.handler, nil)
end

function test_schedules_run_when_they_are_due()
  testing.set_time "2026-02-02T07:50:00Z" -- a Monday, and an hour earlier than in Berlin
  local t = world()
  local runs = t:advance "11m"
  testing.equal(#runs, 3)
  testing.equal(runs[1].handler, "schedule:sweep")
  testing.equal(runs[1].log[1].fields.due, runs[1].log[1].fields.now)
  testing.equal(runs[2].handler, "schedule:sweep")
  testing.equal(runs[2].attempt, 2, "it has failed once")
  testing.equal(runs[2].outcome, "done")
  testing.equal(runs[3].handler, "schedule:morning")
  testing.equal(t:kv "sweeps", 3)
end

function test_components_answer_as_sentry_asks()
  local t = world()
  testing.equal(t:ui("alert-rule-action", { service = "api" }).status, 200)

  local form = t:ui "alert-rule-action"
  testing.equal(form.status, 400)
  testing.equal(form.body.message, "Service is required")
  form = t:ui("alert-rule-action", { fields = { { name = "service", value = "none" } } })
  testing.equal(form.status, 400)
  testing.equal(form.body.message, "Choose a service")

  form = t:ui("alert-rule-action", { service = "broken" })
  testing.equal(form.status, 502)
  testing.matches(form.error, "world.lua:%d+: validate broke$")
  t:http("GET", "https://slow.example/", { delay = "10s" })
  form = t:ui("alert-rule-action", { service = "slow" })
  testing.equal(form.status, 504)
  testing.matches(form.error, "deadline of a component %(%-%-ui%-timeout%) of 5s exceeded$")
  -- Its own deadline counts, not that of handlers: that one would let it sleep.
  form = t:ui("alert-rule-action", { service = "sleeps" })
  testing.equal(form.status, 504)
  testing.matches(form.error, "world.lua:%d+: sleep is longer than what is left of the 5s that a component has to answer")
  testing.equal(t:ui("alert-rule-action", { service = "naps" }).status, 200)

  local call = t:http("GET", "https://services.example/?q=a", { json = { { value = "api", label = "API" } } })
  form = t:ui("options/service", { query = "a" })
  testing.same(form.body, { { value = "api", label = "API" } })
  testing.equal(form.calls[1], call.calls[1])
  t:http("GET", "https://services.example/*", "connect")
  form = t:ui("options/service", { query = "b" })
  testing.equal(form.status, 400)
  testing.equal(form.body.message, "The services could not be loaded")

  testing.equal(t:ui("issue-link/create", { title = "7" }).body.identifier, "7")
  testing.equal(t:ui("issue-link/create", { fields = { title = "7" }, webUrl = "https://s.example/" }).body.webUrl,
    "https://s.example/")
  testing.equal(t:ui("issue-link/link", { ticket = "7" }).body.message, "There is no such ticket")
  form = t:ui("stacktrace-link", { filename = "a.py", lineNo = 7 })
  testing.equal(form.status, 302)
  testing.equal(form.location, "https://git.example/a.py#L7")
  testing.fails(function() t:ui "alert_rule_action" end, 'no component is "alert_rule_action": there are options/NAME, ')
  testing.equal(testing.load("plain", ""):ui("alert-rule-action").status, 404)
end

function test_an_alert_fires_the_action()
  local t = world()
  t:http("POST", "https://pager.example/")
  local run = t:deliver("event_alert.triggered", { data = { triggered_rule = "Too many" } })
  testing.equal(run.outcome, "done")
  testing.equal(run.handler, "alert_action.fire")
  testing.matches(run.calls[1].json.text, "%S")
end

function test_an_alert_fires_beside_the_handler()
  local t = testing.load("both", [[
    alert_action {
      title = "Page",
      fields = { { name = "a", label = "A", type = "text", required = true } },
      fire = function() error "no pager" end,
    }
    function on_event_alert() log.info "seen" end
  ]])
  local run = t:deliver "event_alert.triggered"
  testing.equal(run.handler, "on_event_alert")
  testing.equal(run.outcome, "done")
  testing.equal(run.fire.outcome, "error")
  testing.matches(run.fire.error, "no pager$")
end

function test_sentrys_api_has_a_token()
  local t = world()
  local url = "https://sentry.io/api/0/organizations/acme/issues/*/"
  t:http("PUT", url, { status = 401, json = { detail = "no" } })
  t:http("PUT", url, { json = {} })
  local run = t:deliver "comment.created"
  testing.equal(run.outcome, "done")
  testing.equal(run.calls[1].headers.Authorization, "Bearer test-token-1")
  testing.equal(run.calls[2].headers.Authorization, "Bearer test-token-2")
  testing.same(run.calls[2].json, { assignedTo = "team:42" })
  run = t:deliver "installation.created"
  testing.equal(run.outcome, "done", run.error)
end

function test_an_authorization_comes_back()
  local t = testing.load("login", [[
    function on_issue()
      log.info(assert(oauth.authorize_url { client_id = "c", redirect_uri = "https://me.example/oauth/callback",
        authorize_url = "https://id.example/authorize", token_url = "https://id.example/token", data = { who = "ada" } }))
    end
    function on_oauth(event)
      local token = assert(oauth.exchange(event, { client_secret = "s" }))
      log.info(token.access_token, { who = event.data.data.who })
    end
  ]])
  testing.fails(function() t:authorize() end, "has not called oauth.authorize_url")
  local run = t:deliver "issue.created"
  testing.matches(run.log[1].message, "^https://id.example/authorize%?.*state=test%-state%-1")
  t:http("POST", "https://id.example/token", { json = { access_token = "abc", token_type = "bearer" } })
  run = t:authorize "the-code"
  testing.equal(run.outcome, "done", run.error)
  testing.matches(run.calls[1].body, "code=the%-code")
  testing.equal(run.log[1].message, "abc")
  testing.equal(run.log[1].fields.who, "ada")
end
