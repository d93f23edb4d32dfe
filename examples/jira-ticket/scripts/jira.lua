-- A new issue of level error or worse becomes one Jira ticket.

local jira = require "jira_client"

local wanted = { error = true, fatal = true }

function on_issue(event)
  local issue = event.data.issue
  if event.action ~= "created" or not wanted[issue.level] then return end

  -- The label is how a second attempt finds what the first has made.
  local label = "sentry-" .. issue.id
  local key = jira.find(label)
  if key then
    log.info("there is a ticket already", { issue = issue.shortId, ticket = key })
    return
  end

  key = jira.create {
    summary = issue.title,
    description = issue.culprit ~= json.null and issue.culprit or nil,
    labels = { label },
    priority = { name = issue.level == "fatal" and "Highest" or "High" },
  }
  log.info("opened a ticket", { issue = issue.shortId, ticket = key })
end
