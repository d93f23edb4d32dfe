-- One Slack thread an issue: its creation opens the thread, and what becomes of it goes below.

local slack = require "slack_api"

local LEVELS = { fatal = ":rotating_light:", error = ":red_circle:" } -- others stay out of Slack
local MEMORY = "90d" -- after that, news of an issue are no longer followed

local function thread_key(issue_id) return "slack-thread/" .. tostring(issue_id) end

-- What an action is called; `ignored` is what Sentry sends for its button Archive.
local VERBS = {
  resolved = ":white_check_mark: resolved",
  ignored = ":zzz: archived",
  archived = ":zzz: archived",
  assigned = ":bust_in_silhouette: assigned",
}

local function by(event)
  local actor = event.actor
  return actor and actor.type == "user" and " by " .. slack.escape(actor.name) or ""
end

local function headline(issue)
  local url = issue.web_url or issue.permalink
  local title = issue.title
  local name = issue.shortId ~= json.null and issue.shortId or issue.id
  local linked = type(url) == "string" and slack.link(url, title) or slack.escape(title)
  return LEVELS[issue.level] .. " *" .. slack.escape(name) .. "* " .. linked
end

local function open_thread(event, issue)
  -- The step is recorded, so a retry for a later failure does not post a second message.
  local ts = step("open", function() return slack.post(event, headline(issue)) end)
  kv.set(thread_key(issue.id), { ts = ts, headline = headline(issue) }, { ttl = MEMORY })
  log.info("opened a thread", { issue = issue.id, ts = ts })
end

local function describe(event, issue)
  if event.action == "unresolved" then
    return issue.substatus == "regressed" and ":repeat: it is back: a regression"
      or issue.substatus == "escalating" and ":chart_with_upwards_trend: escalating"
      or ":leftwards_arrow_with_hook: open again" .. by(event)
  elseif event.action == "assigned" then
    local assignee = event.data.assignee or issue.assignedTo
    if type(assignee) == "table" then
      return VERBS.assigned .. " to " .. slack.escape(assignee.name)
    end
  end
  return VERBS[event.action] and VERBS[event.action] .. by(event)
end

function on_issue(event)
  local issue = event.data.issue
  if event.action == "created" then
    if LEVELS[issue.level] then open_thread(event, issue) end
    return
  end

  local thread = kv.get(thread_key(issue.id))
  local text = describe(event, issue)
  if not thread or not text then return end -- an issue that never was in Slack

  step("reply", function() slack.post(event, text, thread.ts) end)
  local struck = event.action == "resolved" and "~" .. thread.headline .. "~" or thread.headline
  step("headline", function() slack.update(event, thread.ts, struck) end)
end

function on_comment(event)
  local comment = event.data
  local thread = kv.get(thread_key(comment.issue_id))
  if not thread or event.action ~= "created" or type(comment.comment) ~= "string" then return end

  local quoted = "> " .. slack.escape(comment.comment):gsub("\n", "\n> ")
  slack.post(event, ":speech_balloon:" .. by(event) .. "\n" .. quoted, thread.ts)
end
