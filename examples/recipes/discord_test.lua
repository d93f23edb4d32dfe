local testing = require "testing"

local HOOK = "https://discord.com/api/webhooks/1/secret"

local function load()
  local t = testing.load "discord"
  t:secret("DISCORD_WEBHOOK_URL", HOOK)
  return t
end

local function fatal()
  return "issue.created", { data = { issue = { level = "fatal", title = "@everyone" } } }
end

function test_a_fatal_issue_is_posted()
  local t = load()
  t:http("POST", HOOK, { status = 204 })
  local run = t:deliver(fatal())
  testing.equal(run.outcome, "done")
  local sent = json.decode(run.calls[1].body)
  testing.equal(sent.embeds[1].title, "@everyone")
  testing.equal(#sent.allowed_mentions.parse, 0)
end

function test_others_are_not()
  local run = load():deliver("issue.created", { data = { issue = { level = "error" } } })
  testing.equal(#run.calls, 0)
end

function test_the_rate_limit_is_obeyed()
  local t = load()
  t:http("POST", HOOK, { status = 429, headers = { ["Retry-After"] = "3" } })
  local run = t:deliver(fatal())
  testing.equal(run.outcome, "retry")
  testing.equal(run.after, 3)
end
