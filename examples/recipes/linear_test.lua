local testing = require "testing"

local API = "https://api.linear.app/graphql"

local function load()
  local t = testing.load "linear"
  t:secret("LINEAR_API_KEY", "lin_api_0123456789")
  t:secret("LINEAR_TEAM_ID", "team-1")
  return t
end

local function fatal()
  return "issue.created", { data = { issue = { level = "fatal", title = "KeyError" } } }
end

function test_a_fatal_issue_is_opened_once()
  local t = load()
  t:http("POST", API, {
    json = {
      data = {
        issueCreate = {
          success = true,
          issue = { identifier = "OPS-1", url = "https://linear.app/1" },
        },
      },
    },
  })
  local run = t:deliver(fatal())
  testing.equal(run.outcome, "done")
  local input = json.decode(run.calls[1].body).variables.input
  testing.equal(input.title, "KeyError")
  testing.matches(input.id, "^%x+%-%x%x%x%x%-4%x%x%x%-8%x%x%x%-%x+$")
  testing.equal(#input.id, 36)
  testing.equal(#t:redeliver(run).calls, 0)
end

function test_an_error_of_graphql_is_one()
  local t = load()
  t:http("POST", API, { json = { errors = { { message = "team not found" } } } })
  local run = t:deliver(fatal())
  testing.equal(run.outcome, "error")
  testing.matches(run.error, "Linear: team not found")
end
