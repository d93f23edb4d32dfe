local testing = require "testing"

local API = "https://api.github.com"

local function load()
  local t = testing.load "github_issues"
  t:secret("GITHUB_TOKEN", "github_pat_0123456789")
  t:secret("GITHUB_REPOSITORY", "acme/shop")
  return t
end

local function asked()
  return "comment.created",
    {
      data = { issue_id = 61, comment = "/github" },
      actor = { type = "user", id = 7, name = "Ada" },
    }
end

function test_a_command_opens_an_issue()
  local t = load()
  t:http("GET", API .. "/search/issues*", { json = { items = json.array {} } })
  t:http("POST", API .. "/repos/acme/shop/issues", {
    status = 201,
    json = { number = 5, html_url = "https://github.com/acme/shop/issues/5" },
  })
  local run = t:deliver(asked())
  testing.equal(run.outcome, "done")
  testing.matches(json.decode(run.calls[2].body).body, "sentry%-issue%-61")
end

function test_a_second_one_finds_it()
  local t = load()
  local row = { html_url = "https://github.com/acme/shop/issues/5" }
  t:http("GET", API .. "/search/issues*", { json = { items = { row } } })
  testing.equal(#t:deliver(asked()).calls, 1)
end

function test_other_comments_are_left_alone()
  local run = load():deliver("comment.created", { data = { comment = "see /github" } })
  testing.equal(#run.calls, 0)
end

function test_a_refusal_is_an_error()
  local t = load()
  t:http("GET", API .. "/search/issues*", { status = 403, body = "rate limit" })
  testing.matches(t:deliver(asked()).error, "GitHub answered 403: rate limit")
end
