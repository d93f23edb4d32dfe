-- New fatal issues, and issues that were resolved, go to a Slack channel.

local WEBHOOK = secret "SLACK_WEBHOOK_URL"

local colours = { fatal = "#b10dc9", error = "#e03e2f", warning = "#f5a623" }

-- Slack reads &, < and > as markup.
local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function post(text, issue)
  local url = issue.web_url or issue.permalink
  local res = assert(http.post(WEBHOOK, {
    timeout = 5,
    json = {
      text = text,
      attachments = {
        {
          color = colours[issue.level] or "#3b6ecc",
          title = escape(issue.title),
          title_link = url ~= json.null and url or nil,
          text = issue.culprit ~= json.null and escape(issue.culprit) or nil,
          footer = escape(issue.project.slug .. " " .. (issue.shortId or issue.id)),
        },
      },
    },
  }))
  -- An error is retried with growing pauses, so a Slack that is down loses nothing.
  if not res.ok then error("Slack answered " .. res.status .. ": " .. res.body) end
end

function on_issue(event)
  local issue = event.data.issue
  if event.action == "created" and issue.level == "fatal" then
    post(":rotating_light: New fatal issue", issue)
  elseif event.action == "resolved" then
    post(":white_check_mark: Resolved by " .. escape(event.actor.name), issue)
  end
end
