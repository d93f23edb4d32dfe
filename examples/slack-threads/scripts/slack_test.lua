local testing = require "testing"

local POST = "https://slack.com/api/chat.postMessage"
local UPDATE = "https://slack.com/api/chat.update"

local function load()
  local t = testing.load "slack"
  t:secret("SLACK_BOT_TOKEN", "xoxb-0123456789")
  t:secret("SLACK_CHANNEL", "C0123456789")
  return t
end

local function fatal(action, more)
  local issue = { id = "61", shortId = "SHOP-4Q", level = "fatal", title = "a < b" }
  for key, value in pairs(more or {}) do
    issue[key] = value
  end
  return "issue." .. action, { data = { issue = issue } }
end

local function with_thread(t)
  t:http("POST", POST, { json = { ok = true, ts = "1700.1" } })
  testing.equal(t:deliver(fatal "created").outcome, "done")
end

function test_a_new_issue_opens_a_thread()
  local t = load()
  t:http("POST", POST, { json = { ok = true, ts = "1700.1" } })
  local run = t:deliver(fatal "created")
  testing.equal(run.outcome, "done")
  local sent = json.decode(run.calls[1].body)
  testing.equal(sent.channel, "C0123456789")
  testing.matches(sent.text, "SHOP%-4Q")
  testing.matches(sent.text, "a &lt; b")
  testing.equal(t:kv("slack-thread/61").ts, "1700.1")
end

function test_lesser_levels_stay_out()
  local run = load():deliver(fatal("created", { level = "info" }))
  testing.equal(run.outcome, "done")
  testing.equal(#run.calls, 0)
end

function test_what_follows_goes_into_the_thread()
  local t = load()
  with_thread(t)
  t:http("POST", POST, { json = { ok = true, ts = "1700.2" } })
  t:http("POST", UPDATE, { json = { ok = true } })
  local run = t:deliver(fatal "resolved")
  testing.equal(run.outcome, "done")
  local reply = json.decode(run.calls[1].body)
  testing.equal(reply.thread_ts, "1700.1")
  testing.matches(reply.text, "resolved")
  local headline = json.decode(run.calls[2].body)
  testing.equal(headline.ts, "1700.1")
  testing.matches(headline.text, "^~.*~$")
end

function test_a_regression_is_said_so()
  local t = load()
  with_thread(t)
  t:http("POST", POST, { json = { ok = true, ts = "1700.2" } })
  t:http("POST", UPDATE, { json = { ok = true } })
  local run = t:deliver(fatal("unresolved", { substatus = "regressed" }))
  testing.matches(json.decode(run.calls[1].body).text, "a regression")
end

function test_a_comment_is_quoted()
  local t = load()
  with_thread(t)
  t:http("POST", POST, { json = { ok = true, ts = "1700.3" } })
  local run = t:deliver("comment.created", {
    data = { issue_id = 61, comment = "mine\n& hers" },
    actor = { type = "user", id = 7, name = "Ada" },
  })
  testing.equal(run.outcome, "done")
  local sent = json.decode(run.calls[1].body)
  testing.equal(sent.thread_ts, "1700.1")
  testing.matches(sent.text, "by Ada\n> mine\n> &amp; hers")
end

function test_an_issue_that_was_never_posted_is_left_alone()
  local t = load()
  testing.equal(#t:deliver(fatal "resolved").calls, 0)
  testing.equal(#t:deliver("comment.created", { data = { issue_id = 61 } }).calls, 0)
end

function test_a_retry_does_not_post_twice()
  local t = load()
  with_thread(t)
  t:http("POST", POST, { json = { ok = true, ts = "1700.2" } })
  t:http("POST", UPDATE, { status = 503 })
  local run = t:deliver(fatal "resolved")
  testing.equal(run.outcome, "error")
  testing.matches(run.error, "Slack answered 503")

  t:http("POST", UPDATE, { json = { ok = true } })
  local again = t:redeliver(run)
  testing.equal(again.outcome, "done")
  testing.equal(#again.calls, 1)
end

function test_a_rate_limit_is_obeyed()
  local t = load()
  t:http("POST", POST, { status = 429, headers = { ["Retry-After"] = "17" } })
  local run = t:deliver(fatal "created")
  testing.equal(run.outcome, "retry")
  testing.equal(run.after, 17)
end

function test_a_refusal_is_an_error_that_names_it()
  local t = load()
  t:http("POST", POST, { json = { ok = false, error = "not_in_channel" } })
  local run = t:deliver(fatal "created")
  testing.equal(run.outcome, "error")
  testing.matches(run.error, "Slack refused chat.postMessage: not_in_channel")
  testing.equal(t:kv "slack-thread/61", nil)
end

function test_a_slack_that_hangs_is_tried_again()
  local t = load()
  t:http("POST", POST, { error = "timeout" })
  local run = t:deliver(fatal "created")
  testing.equal(run.outcome, "error")
end
