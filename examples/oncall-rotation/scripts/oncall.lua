-- Who is on call: a weekly rotation, kept in kv. New fatal issues are assigned to that person, the
-- handover is announced in Slack, and comments in Sentry ask and swap.

-- Mail addresses of Sentry users; after the last comes the first again.
local ROTA = { "ada@example.com", "grace@example.com", "linus@example.com" }

local ZONE = "Europe/Vienna"
local webhook = secret "SLACK_WEBHOOK_URL"

local function on_call()
  local turn = kv.get("oncall/turn") or 0
  return kv.get("oncall/override") or ROTA[turn % #ROTA + 1]
end

local function announce(text)
  local res = assert(http.post(webhook, { json = { text = text }, timeout = 5 }))
  if not res.ok then error("Slack answered " .. res.status .. ": " .. res.body, 0) end
end

local function api(event, method, path, body)
  local client = sentry.api(event)
  local res, message = client[method](client, "/organizations/{org}/issues/" .. path, body)
  if not res then error("Sentry: " .. message, 0) end
  if not res.ok then error("Sentry answered " .. res.status .. ": " .. tostring(res.detail), 0) end
end

-- Mondays at nine. However often the handler has to run, the turn moves once: the step is recorded.
schedule.cron("0 9 * * 1", "handover", function()
  local turn = step("turn", function() return kv.incr("oncall/turn") end)
  kv.delete("oncall/override")
  announce("On call from now on: " .. ROTA[turn % #ROTA + 1])
  log.info("handed over", { turn = turn, to = ROTA[turn % #ROTA + 1] })
end, { tz = ZONE })

function on_issue(event)
  local issue = event.data.issue
  if event.action ~= "created" or issue.level ~= "fatal" then return end

  -- Asked once: a retry after a handover still assigns whom it chose first.
  local who = step("who", on_call)
  step("assign", function() api(event, "put", issue.id .. "/", { assignedTo = who }) end)
  step("tell", function() announce("Assigned to " .. who .. ": " .. issue.title) end)
  log.info("assigned", { issue = issue.id, to = who })
end

local function find(name)
  for _, who in ipairs(ROTA) do
    if who == name or who:match("^[^@]+") == name then return who end
  end
end

-- "/oncall" asks; "/oncall grace" swaps until the next handover.
function on_comment(event)
  local text = event.data.comment
  if event.action ~= "created" or type(text) ~= "string" then return end
  local name = text:match("^/oncall%s*(%S*)%s*$")
  if not name then return end

  local answer
  if name == "" then
    answer = "On call: " .. on_call()
  elseif find(name) then
    kv.set("oncall/override", find(name), { ttl = "7d" })
    answer = "On call until the next handover: " .. find(name)
  else
    answer = "Nobody here is called " .. name .. ". There are " .. table.concat(ROTA, ", ") .. "."
  end
  step("answer", function()
    api(event, "post", tostring(event.data.issue_id) .. "/notes/", { text = answer })
  end)
end
