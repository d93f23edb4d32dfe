local testing = require "testing"

local SLACK = "https://hooks.slack.com/services/T0/B0/secret"
local ISSUES = "https://sentry.io/api/0/organizations/*/issues/"

local function load()
  local t = testing.load "triage"
  t:secret("SLACK_WEBHOOK_URL", SLACK)
  return t
end

local function created(id, title, project, level)
  return "issue.created",
    {
      data = {
        issue = {
          id = id,
          title = title,
          level = level or "error",
          project = { slug = project or "shop" },
        },
      },
    }
end

function test_noise_is_archived_in_silence()
  local t = load()
  t:http("PUT", ISSUES .. "61/", { json = {} })
  local run = t:deliver(created("61", "Error in chrome-extension://abc"))
  testing.equal(run.outcome, "done")
  testing.equal(#run.calls, 1)
  testing.equal(json.decode(run.calls[1].body).status, "ignored")
end

function test_the_first_rule_that_matches_counts()
  local t = load()
  t:http("PUT", ISSUES .. "61/", { json = {} })
  t:http("POST", SLACK, { body = "ok" })
  local run = t:deliver(created("61", "KeyError", "payment", "fatal"))
  testing.equal(json.decode(run.calls[1].body).assignedTo, "team:7")
  testing.matches(run.calls[2].body, "payment is urgent")
end

function test_without_a_rule_it_is_only_told()
  local t = load()
  t:http("POST", SLACK, { body = "ok" })
  local run = t:deliver(created("61", "KeyError"))
  testing.equal(#run.calls, 1)
  testing.matches(run.calls[1].body, "%[shop%] KeyError")
end

function test_a_storm_becomes_a_digest()
  local t = load()
  for id = 1, 8 do
    if id <= 5 then t:http("POST", SLACK, { body = "ok" }) end
    testing.equal(t:deliver(created(tostring(id), "KeyError " .. id)).outcome, "done")
  end
  t:http("POST", SLACK, function(request)
    testing.matches(request.body, "%[shop%] 3 more new issues, the first: KeyError 6")
    return { body = "ok" }
  end)
  t:advance(15 * 60)
  testing.equal(t:kv "triage/digest/shop/6", nil)
end

function test_a_digest_that_cannot_be_sent_is_kept()
  local t = load()
  t:kv("triage/digest/shop/6", "KeyError 6")
  t:http("POST", SLACK, { status = 500, body = "no" })
  t:http("POST", SLACK, { body = "ok" })
  t:advance(16 * 60)
  testing.equal(t:kv "triage/digest/shop/6", nil)
end

function test_a_retry_neither_counts_nor_assigns_twice()
  local t = load()
  t:http("PUT", ISSUES .. "61/", { json = {} })
  t:http("POST", SLACK, { error = "timeout" })
  local run = t:deliver(created("61", "KeyError", "shop", "fatal"))
  testing.equal(run.outcome, "error")

  t:http("POST", SLACK, { body = "ok" })
  local again = t:redeliver(run)
  testing.equal(again.outcome, "done")
  testing.equal(#again.calls, 1)
  testing.equal(t:kv "triage/storm/shop", 1)
end

function test_an_issue_that_is_gone_is_dropped()
  local t = load()
  t:http("PUT", ISSUES .. "61/", { status = 404, json = { detail = "not found" } })
  testing.equal(t:deliver(created("61", "ChunkLoadError: 7")).outcome, "dropped")
end
