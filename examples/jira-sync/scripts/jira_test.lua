local testing = require "testing"

local API = "https://acme.atlassian.net/rest/api/2/"
local UUID = "5e1f2b7c-9d43-4a61-b0a8-6c1b7f0f2d10"

local function load()
  local t = testing.load "jira"
  t:secret("JIRA_URL", "https://acme.atlassian.net")
  t:secret("JIRA_PROJECT", "OPS")
  t:secret("JIRA_BASIC", "bWFpbDp0b2tlbg==")
  return t
end

local function linked(t, done)
  t:kv("jira/ticket/OPS-7", { issue = "61", installation = UUID, done = done or false })
  t:kv("jira/issue/61", "OPS-7")
end

local function request(fields)
  return {
    fields = fields,
    issueId = 61,
    installationId = UUID,
    webUrl = "https://acme.sentry.io/issues/61/",
    project = { id = 1, slug = "shop" },
    actor = { type = "user", id = 7, name = "Ada" },
  }
end

local function transitions(category)
  local to = { statusCategory = { key = category } }
  return { json = { transitions = { { id = "31", name = "Move", to = to } } } }
end

function test_creating_a_ticket_links_it()
  local t = load()
  t:http("GET", API .. "search*", { json = { issues = json.array {} } })
  t:http("POST", API .. "issue", { status = 201, json = { key = "OPS-7" } })
  local form = t:ui("issue-link/create", request { title = "KeyError", description = "It broke" })
  testing.equal(form.status, 200)
  testing.same(form.body, {
    webUrl = "https://acme.atlassian.net/browse/OPS-7",
    project = "OPS",
    identifier = "7",
  })
  testing.equal(t:kv("jira/ticket/OPS-7").issue, "61")
end

function test_creating_it_again_finds_the_first()
  local t = load()
  local row = {
    key = "OPS-7",
    fields = { summary = "KeyError", status = { statusCategory = { key = "new" } } },
  }
  t:http("GET", API .. "search*", { json = { issues = { row } } })
  local form = t:ui("issue-link/create", request { title = "KeyError", description = "It broke" })
  testing.equal(form.status, 200)
  testing.equal(form.body.identifier, "7")
end

function test_a_summary_has_to_be_given()
  local form = load():ui("issue-link/create", request { description = "It broke" })
  testing.equal(form.status, 400)
  testing.equal(form.body.message, "Title is required")
end

function test_a_jira_that_refuses_is_an_error()
  local t = load()
  t:http("GET", API .. "search*", { status = 401, body = "no" })
  testing.equal(t:ui("issue-link/create", request { title = "KeyError" }).status, 502)
end

function test_linking_marks_the_ticket()
  local t = load()
  t:http("PUT", API .. "issue/OPS-7", { status = 204 })
  local form = t:ui("issue-link/link", request { ticket = "OPS-7" })
  testing.equal(form.status, 200)
  testing.equal(t:kv "jira/issue/61", "OPS-7")
end

function test_what_is_no_key_is_refused()
  local form = load():ui("issue-link/link", request { ticket = "../admin" })
  testing.equal(form.status, 400)
  testing.matches(form.body.message, "not a key")
end

function test_tickets_are_searched()
  local t = load()
  local row = {
    key = "OPS-7",
    fields = { summary = "KeyError", status = { statusCategory = { key = "new" } } },
  }
  t:http("GET", API .. "search*", { json = { issues = { row } } })
  local form = t:ui("options/ticket", { query = "key" })
  testing.same(form.body, { { value = "OPS-7", label = "OPS-7 KeyError" } })
end

function test_resolved_in_sentry_is_done_in_jira()
  local t = load()
  linked(t)
  t:http("GET", API .. "issue/OPS-7/transitions", transitions "done")
  t:http("POST", API .. "issue/OPS-7/transitions", { status = 204 })
  t:http("POST", API .. "issue/OPS-7/comment", { status = 201, json = { id = "1" } })
  local run = t:deliver("issue.resolved", { data = { issue = { id = "61" } } })
  testing.equal(run.outcome, "done")
  testing.is_true(t:kv("jira/ticket/OPS-7").done)
  -- Once more, and nothing is left to do.
  testing.equal(#t:deliver("issue.resolved", { data = { issue = { id = "61" } } }).calls, 0)
end

function test_a_retry_does_not_move_it_twice()
  local t = load()
  linked(t)
  t:http("GET", API .. "issue/OPS-7/transitions", transitions "done")
  t:http("POST", API .. "issue/OPS-7/transitions", { status = 204 })
  t:http("POST", API .. "issue/OPS-7/comment", { error = "timeout" })
  local run = t:deliver("issue.resolved", { data = { issue = { id = "61" } } })
  testing.equal(run.outcome, "error")

  t:http("POST", API .. "issue/OPS-7/comment", { status = 201, json = { id = "1" } })
  local again = t:redeliver(run)
  testing.equal(again.outcome, "done")
  testing.equal(#again.calls, 1)
end

function test_an_issue_without_a_ticket_is_left_alone()
  local run = load():deliver("issue.resolved", { data = { issue = { id = "62" } } })
  testing.equal(#run.calls, 0)
end

function test_done_in_jira_is_resolved_in_sentry()
  local t = load()
  linked(t)
  local row = {
    key = "OPS-7",
    fields = { summary = "KeyError", status = { statusCategory = { key = "done" } } },
  }
  t:http("GET", API .. "search*", { json = { issues = { row } } })
  t:http("PUT", "https://sentry.io/api/0/organizations/*/issues/61/", { json = {} })
  t:advance(120)
  testing.is_true(t:kv("jira/ticket/OPS-7").done)
end

function test_a_sentry_that_refuses_is_asked_again_later()
  local t = load()
  linked(t)
  local row = {
    key = "OPS-7",
    fields = { summary = "KeyError", status = { statusCategory = { key = "done" } } },
  }
  t:http("GET", API .. "search*", { json = { issues = { row } } })
  t:http("PUT", "https://sentry.io/api/0/organizations/*/issues/61/", {
    status = 403,
    json = { detail = "You do not have permission" },
  })
  t:advance(120)
  testing.equal(t:kv("jira/ticket/OPS-7").done, false)
end
