local testing = require "testing"

local SLACK = "https://hooks.slack.com/services/T0/B0/secret"
local ISSUES = "https://sentry.io/api/0/organizations/*/issues/"

local function load()
  local t = testing.load "oncall"
  t:secret("SLACK_WEBHOOK_URL", SLACK)
  return t
end

local function fatal()
  return "issue.created", { data = { issue = { id = "61", level = "fatal", title = "KeyError" } } }
end

local function comment(text)
  return "comment.created", { data = { issue_id = 61, comment = text } }
end

function test_a_fatal_issue_is_assigned_and_told()
  local t = load()
  t:http("PUT", ISSUES .. "61/", { json = {} })
  t:http("POST", SLACK, { body = "ok" })
  local run = t:deliver(fatal())
  testing.equal(run.outcome, "done")
  testing.equal(json.decode(run.calls[1].body).assignedTo, "ada@example.com")
  testing.matches(run.calls[2].body, "Assigned to ada@example.com: KeyError")
end

function test_a_retry_keeps_whom_it_chose()
  local t = load()
  t:http("PUT", ISSUES .. "61/", { json = {} })
  t:http("POST", SLACK, { status = 500, body = "no" })
  local run = t:deliver(fatal())
  testing.equal(run.outcome, "error")

  t:kv("oncall/turn", 1) -- a handover in between
  t:http("POST", SLACK, { body = "ok" })
  local again = t:redeliver(run)
  testing.equal(again.outcome, "done")
  testing.equal(#again.calls, 1)
  testing.matches(again.calls[1].body, "ada@example.com")
end

function test_a_sentry_that_refuses_is_asked_again()
  local t = load()
  local refusal = { assignedTo = { "Unknown actor input" } }
  t:http("PUT", ISSUES .. "61/", { status = 400, json = refusal })
  local run = t:deliver(fatal())
  testing.equal(run.outcome, "error")
  testing.matches(run.error, "Sentry answered 400")
end

function test_lesser_issues_are_nobodys()
  local run = load():deliver("issue.created", { data = { issue = { level = "error" } } })
  testing.equal(#run.calls, 0)
end

function test_mondays_hand_over()
  local t = load()
  t:kv("oncall/override", "linus@example.com")
  t:http("POST", SLACK, { body = "ok" })
  t:advance(7 * 24 * 3600)
  testing.equal(t:kv "oncall/turn", 1)
  testing.equal(t:kv "oncall/override", nil)
end

function test_a_handover_that_cannot_be_told_moves_the_turn_once()
  local t = load()
  t:http("POST", SLACK, { error = "timeout" })
  t:http("POST", SLACK, { body = "ok" })
  t:advance(7 * 24 * 3600 + 60)
  testing.equal(t:kv "oncall/turn", 1)
end

function test_a_comment_asks()
  local t = load()
  t:http("POST", ISSUES .. "61/notes/", { status = 201, json = {} })
  local run = t:deliver(comment "/oncall")
  testing.equal(run.outcome, "done")
  testing.matches(run.calls[1].body, "On call: ada@example.com")
end

function test_a_comment_swaps()
  local t = load()
  t:http("POST", ISSUES .. "61/notes/", { status = 201, json = {} })
  testing.equal(t:deliver(comment "/oncall grace").outcome, "done")
  testing.equal(t:kv "oncall/override", "grace@example.com")
end

function test_a_stranger_is_refused_in_words()
  local t = load()
  t:http("POST", ISSUES .. "61/notes/", { status = 201, json = {} })
  local run = t:deliver(comment "/oncall mallory")
  testing.matches(run.calls[1].body, "Nobody here is called mallory")
end

function test_other_comments_are_left_alone()
  testing.equal(#load():deliver(comment "is this /oncall material?").calls, 0)
end
