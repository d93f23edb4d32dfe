-- ACME Kanban, Sentry's own example of an integration: issues become cards of a board or are
-- linked to one, alerts put a card on it.  The board lives in kv.

local BOARD = "http://localhost:3000/" -- Where people see it, by organization.
local STRANGER, NOBODY = "Invalid installation was provided", "Selected user was not found"
local PREFIXES = { resolved = "✅ Resolved Metric: ", warning = "⚠️ Warning Metric: " }

-- The slug of the organization that has installed it, or nil.
local function organization(request)
  return kv.get("installation/" .. tostring(request.installationId))
end

local function save(card)
  card.id = card.id or kv.incr("cards")
  kv.set("card/" .. card.id, card)
  return card
end

-- All cards or all people, as Sentry wants the options of a select.
local function options_of(kind, label)
  return function(q)
    local options = {}
    for _, key in ipairs(kv.list(kind .. "/")) do
      local one = kv.get(key)
      if one[label]:lower():find(q.query:lower(), 1, true) then
        options[#options + 1] = { value = one.id, label = one[label] }
      end
    end
    return organization(q) and options, STRANGER
  end
end

-- Save the card, and tell Sentry how to show it: "ACME#7".
local function link(card, request)
  local slug = organization(request)
  if not slug or not card then
    return nil, slug and "Selected task was not found" or STRANGER
  end
  card.issue = tostring(request.issueId)
  return { webUrl = BOARD .. slug .. "/", project = "ACME", identifier = save(card).id }
end

local function choice(...)
  local options = {}
  for i, pair in ipairs({ ... }) do
    options[i] = { value = pair[1], label = pair[2] or pair[1] }
  end
  return options
end

local COLUMNS = choice({ "TODO", "Planned" }, { "DOING", "In Progress" }, { "DONE", "Completed" })
local POINTS = choice({ 1 }, { 2 }, { 3 }, { 5 }, { 8 })
local WHICH = "Which task would you like to link to this Sentry Issue?"
local WHO = "Who would you like assigned to the Alert Ticket?"
local TEXT, DETAILS = "issue.title", "issue.description"

-- A field of a form: the last argument is a default, or where the options come from.
local function field(name, label, type, required, more)
  local given = { name = name, label = label, type = type, required = required }
  given[type == "select" and "options" or "default"] = more
  return given
end

issue_link({
  create = {
    fields = {
      field("title", "Task Name", "text", true, TEXT),
      field("description", "Task Description", "textarea", true, DETAILS),
      field("column", "What's the status of this task?", "select", false, COLUMNS),
      field("complexity", "What is the estimated complexity?", "select", false, POINTS),
    },
    run = link,
  },
  link = {
    fields = { field("itemId", WHICH, "select", true, options_of("card", "title")) },
    run = function(fields, request)
      return link(kv.get("card/" .. tostring(fields.itemId)), request)
    end,
  },
})

alert_action({
  title = "Create an alert ticket in ACME Kanban",
  description = "Provide the details for the alert ticket",
  fields = {
    field("title", "Alert Ticket Title", "text", true),
    field("description", "Alert Ticket Description", "textarea", true),
    field("userId", WHO, "select", false, options_of("user", "name")),
  },
  validate = function(settings, request)
    local known = not settings.userId or kv.get("user/" .. tostring(settings.userId))
    local problem = not organization(request) and STRANGER or not known and NOBODY
    return not problem, problem
  end,
  fire = function(settings, alert, event)
    local metric, about = event.data.metric_alert, event.data.event or event.data.issue or {}
    local prefix = metric and (PREFIXES[alert.state] or "🔥 Critical Metric: ") or "🚨 Issue Alert: "
    save({ -- One card for all states of a metric alert, and for all attempts of this job.
      id = metric and "metric-" .. metric.id or "alert-" .. event.id,
      title = prefix .. (settings.title or alert.title),
      description = settings.description or event.data.description_text or alert.url,
      assignee = settings.userId,
      issue = about.issue_id or about.id,
    })
  end,
})

function on_installation(event)
  local key, actor = "installation/" .. event.data.installation.uuid, event.actor or {}
  kv.set(key, event.action ~= "deleted" and event.data.installation.organization.slug)
  if actor.type == "user" then
    kv.set("user/" .. actor.id, actor)
  end
end
