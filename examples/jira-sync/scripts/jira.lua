-- Jira both ways: a person links an issue to a ticket in Sentry; resolved here is done there, and
-- done there is resolved here.

local jira = require "jira_api"

-- What is linked: by ticket {issue, installation, done}, by issue the ticket's key. `done` is the
-- state that both sides had last, so that a change from one side is not sent back to it.
local function remember(key, link)
  kv.set("jira/ticket/" .. key, link)
  kv.set("jira/issue/" .. link.issue, key)
end

local function label_of(issue_id) return "sentry-" .. issue_id end

local function link_to(key, request)
  remember(key, {
    issue = tostring(request.issueId),
    installation = request.installationId,
    done = false,
  })
  -- Sentry shows project#identifier.
  return { webUrl = jira.url(key), project = jira.project, identifier = key:match "%d+$" or key }
end

issue_link {
  create = {
    fields = {
      {
        name = "title",
        label = "Summary",
        type = "text",
        required = true,
        default = "issue.title",
      },
      {
        name = "description",
        label = "Description",
        type = "textarea",
        default = "issue.description",
      },
      {
        name = "priority",
        label = "Priority",
        type = "select",
        options = {
          { value = "Highest", label = "Highest" },
          { value = "High", label = "High" },
          { value = "Medium", label = "Medium" },
          { value = "Low", label = "Low" },
        },
      },
    },
    run = function(fields, request)
      -- A person who tries again, because the first answer came too late, gets the same ticket.
      local label = label_of(request.issueId)
      local ticket = jira.labelled(label)
      local key = ticket and ticket.key
        or jira.create {
          summary = fields.title,
          description = (fields.description or "") .. "\n\n" .. (request.webUrl or ""),
          priority = fields.priority and { name = fields.priority } or nil,
          labels = { "sentry", label },
        }
      return link_to(key, request)
    end,
  },

  link = {
    fields = {
      {
        name = "ticket",
        label = "Ticket",
        type = "select",
        required = true,
        async = true,
        options = function(q)
          local rows = {}
          for i, ticket in ipairs(jira.matching(q.query)) do
            rows[i] = { value = ticket.key, label = ticket.key .. " " .. ticket.summary }
          end
          return rows
        end,
      },
    },
    run = function(fields, request)
      if not fields.ticket:match("^%u[%u%d_]*%-%d+$") then
        return nil, "That is not a key of a Jira ticket: " .. fields.ticket
      end
      jira.add_label(fields.ticket, label_of(request.issueId))
      return link_to(fields.ticket, request)
    end,
  },
}

-- Sentry to Jira.
function on_issue(event)
  local done = event.action == "resolved"
  if not done and event.action ~= "unresolved" then return end

  local key = kv.get("jira/issue/" .. event.data.issue.id)
  local link = key and kv.get("jira/ticket/" .. key)
  if not link or link.done == done then return end

  local moved = step("move", function() return jira.move(key, done and "done" or "new") end)
  if moved then
    step("comment", function()
      jira.comment(key, done and "Resolved in Sentry." or "It is open again in Sentry.")
    end)
  end
  link.done = done
  remember(key, link)
  log.info("told Jira", { ticket = key, done = done, moved = moved })
end

-- Jira to Sentry: Jira's own webhooks are not signed by Sentry, so its changes are fetched.
schedule.every("2m", "jira-to-sentry", function()
  -- Looks back further than it has to, so that a pause or a slow Jira leaves no gap.
  for _, ticket in ipairs(jira.changed(30)) do
    local link = kv.get("jira/ticket/" .. ticket.key)
    if link and link.done ~= ticket.done then
      local client = sentry.api { uuid = link.installation }
      local res, message = client:put("/organizations/{org}/issues/" .. link.issue .. "/", {
        status = ticket.done and "resolved" or "unresolved",
      })
      if not res then error("Sentry: " .. message, 0) end
      if not res.ok then
        error("Sentry answered " .. res.status .. ": " .. tostring(res.detail), 0)
      end
      link.done = ticket.done
      remember(ticket.key, link)
      log.info("told Sentry", { ticket = ticket.key, done = ticket.done })
    end
  end
end)
