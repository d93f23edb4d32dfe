-- Triage by rules: new issues are assigned, resolved or archived; a storm becomes one digest.

local rules = require "rules"

local webhook = secret "SLACK_WEBHOOK_URL"

-- More new issues of a project than this within the window, and the rest goes into the digest.
local CALM = 5
local WINDOW = "10m"

local function match(issue)
  for _, rule in ipairs(rules) do
    if rule.when(issue) then return rule end
  end
end

local function update(event, issue, change)
  local path = "/organizations/{org}/issues/" .. issue.id .. "/"
  local res, message = sentry.api(event):put(path, change)
  if not res then error("Sentry: " .. message, 0) end
  -- An issue that was merged or deleted meanwhile needs no triage.
  if res.status == 404 then return event:drop "the issue is gone" end
  if not res.ok then error("Sentry answered " .. res.status .. ": " .. tostring(res.detail), 0) end
end

local function say(text)
  local res = assert(http.post(webhook, { json = { text = text }, timeout = 5 }))
  if not res.ok then error("Slack answered " .. res.status .. ": " .. res.body, 0) end
end

-- How many new issues of the project there were within the window, this one included. `incr` knows
-- no ttl but keeps the one that is set, so the counter is set first.
local function count(project)
  local key = "triage/storm/" .. project
  kv.add(key, 0, { ttl = WINDOW })
  return kv.incr(key)
end

local function tell(issue, rule)
  local project = issue.project.slug
  local text = "[" .. project .. "] " .. issue.title .. (rule and " (" .. rule.name .. ")" or "")
  if step("count", function() return count(project) end) <= CALM then
    step("say", function() say(text) end)
  else
    kv.set("triage/digest/" .. project .. "/" .. issue.id, issue.title, { ttl = "1d" })
  end
end

function on_issue(event)
  local issue = event.data.issue
  if event.action ~= "created" then return end

  local rule = match(issue)
  if rule and (rule.assign or rule.status) then
    step("update", function()
      update(event, issue, { assignedTo = rule.assign, status = rule.status })
    end)
    log.info("triaged", { issue = issue.id, rule = rule.name })
  end
  if not rule or not rule.quiet then tell(issue, rule) end
end

-- What the storms held back, by project, in one message.
schedule.every("15m", "digest", function()
  local keys = kv.list "triage/digest/"
  if #keys == 0 then return end

  local per_project, order = {}, {}
  for _, key in ipairs(keys) do
    local project = key:match "^triage/digest/([^/]+)/"
    if not per_project[project] then
      per_project[project] = {}
      order[#order + 1] = project
    end
    table.insert(per_project[project], kv.get(key) or "?")
  end

  local lines = {}
  for _, project in ipairs(order) do
    local titles = per_project[project]
    local line = "[%s] %d more new issues, the first: %s"
    lines[#lines + 1] = line:format(project, #titles, titles[1])
  end
  step("say", function() say(table.concat(lines, "\n")) end)
  for _, key in ipairs(keys) do
    kv.delete(key)
  end
end)
