-- moonpost test scripts

local testing = require "testing"

local function deliver(event, overrides)
  local run = testing.load("on_issue"):deliver(event, overrides)
  testing.equal(run.outcome, "done", run.error)
  testing.equal(#run.log, 1)
  return run.log[1]
end

function test_a_fatal_issue_is_a_warning()
  local line = deliver("issue.created", { data = { issue = { level = "fatal", shortId = "SHOP-1" } } })
  testing.equal(line.level, "warn")
  testing.equal(line.fields.issue, "SHOP-1")
end

function test_what_happens_to_an_issue_is_told()
  local line = deliver("issue.created", { data = { issue = { level = "error", title = "KeyError" } } })
  testing.equal(line.level, "info")
  testing.equal(line.message, "issue created")
  testing.equal(line.fields.title, "KeyError")
  -- Fatal matters when it is new.
  testing.equal(deliver("issue.resolved", { data = { issue = { level = "fatal" } } }).message, "issue resolved")
end

function test_who_did_it_is_named()
  local line = deliver("issue.assigned", { actor = { type = "user", name = "Ada", id = 1 } })
  testing.equal(line.fields.by, "Ada")
  line = deliver("issue.resolved", { actor = { type = "application", name = "Sentry", id = "sentry" } })
  testing.equal(line.fields.by, "Sentry (application)")
end
