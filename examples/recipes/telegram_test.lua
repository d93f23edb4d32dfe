local testing = require "testing"

local SEND = "https://api.telegram.org/bot123:abcdefgh/sendMessage"

local function load()
  local t = testing.load "telegram"
  t:secret("TELEGRAM_TOKEN", "123:abcdefgh")
  t:secret("TELEGRAM_CHAT", "-100200")
  return t
end

local function regression()
  return "issue.unresolved", { data = { issue = { substatus = "regressed" } } }
end

function test_a_regression_is_sent()
  local t = load()
  t:http("POST", SEND, { json = { ok = true } })
  local run = t:deliver(regression())
  testing.equal(run.outcome, "done")
  local sent = json.decode(run.calls[1].body)
  testing.equal(sent.chat_id, "-100200")
  testing.matches(sent.text, "^It is back: ")
end

function test_escalating_is_no_regression()
  local run = load():deliver("issue.unresolved", {
    data = { issue = { substatus = "escalating" } },
  })
  testing.equal(#run.calls, 0)
end

function test_the_rate_limit_is_in_the_body()
  local t = load()
  t:http("POST", SEND, { status = 429, json = { ok = false, parameters = { retry_after = 9 } } })
  testing.equal(t:deliver(regression()).after, 9)
end
