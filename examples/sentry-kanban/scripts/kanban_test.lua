local testing = require "testing"

local UUID = "7a485448-a9e2-4c85-8a3c-4f44175783c9"

local function installed()
  local t = testing.load "kanban"
  local run = t:deliver("installation.created", {
    data = { installation = { uuid = UUID, organization = { slug = "acme" } } },
    actor = { type = "user", id = 1, name = "Jane" },
  })
  testing.equal(run.outcome, "done")
  return t
end

local function request(fields, installation)
  return { installationId = installation or UUID, issueId = 123, fields = fields }
end

function test_an_issue_becomes_a_card()
  local t = installed()
  local form = t:ui("issue-link/create", request { title = "A", description = "B", column = "DOING" })
  testing.equal(form.status, 200)
  testing.equal(form.body.project .. "#" .. form.body.identifier, "ACME#1")
  testing.equal(t:kv("card/1").issue, "123")
end

function test_a_card_is_linked()
  local t = installed()
  t:kv("card/9", { id = 9, title = "Older" })
  testing.equal(t:ui("issue-link/link", request { itemId = 9 }).body.identifier, "9")
  local form = t:ui("issue-link/link", request { itemId = 10 })
  testing.equal(form.status, 400)
  testing.equal(form.body.message, "Selected task was not found")
end

function test_strangers_are_refused()
  local stranger = "00000000-0000-4000-8000-000000000000"
  local fields = { title = "A", description = "B" }
  local form = installed():ui("issue-link/create", request(fields, stranger))
  testing.equal(form.status, 400)
  testing.equal(form.body.message, "Invalid installation was provided")
end

function test_people_are_offered_as_they_are_typed()
  local t = installed()
  local query = { installationId = UUID, query = "JA" }
  testing.same(t:ui("options/userId", query).body, { { value = 1, label = "Jane" } })
  query.query = "x"
  testing.equal(#t:ui("options/userId", query).body, 0)
end

function test_an_alert_puts_a_card_on_the_board_once()
  local t = installed()
  local settings = { { name = "title", value = "Look" }, { name = "description", value = "D" } }
  local run = t:deliver("event_alert.triggered", {
    data = { issue_alert = { id = 1, title = "Rule", sentry_app_id = 1, settings = settings } },
  })
  testing.equal(run.outcome, "done")
  testing.equal(t:redeliver(run).outcome, "done")
  testing.equal(t:kv("card/alert-" .. 1), nil)
  local form = t:ui("options/itemId", { installationId = UUID, query = "" })
  testing.equal(#form.body, 1)
  testing.matches(form.body[1].label, "Issue Alert: Look")
end

function test_all_states_of_a_metric_alert_are_one_card()
  local t = installed()
  for _, action in ipairs { "critical", "warning", "resolved" } do
    t:deliver("metric_alert." .. action, { data = { metric_alert = { id = "7" } } })
  end
  testing.matches(t:kv("card/metric-7").title, "^✅ Resolved Metric: ")
end
