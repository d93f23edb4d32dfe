-- What the tests beside this try: a script that does a bit of everything.

local marks = require "marks"

schedule.every("5m", "sweep", function(event)
  log.info("sweep", { due = event.data.due_at, now = os.time() })
  if kv.incr "sweeps" == 2 then error "the second one fails once" end
end)
schedule.cron("0 9 * * 1-5", "morning", function() log.info "good morning" end, { tz = "Europe/Berlin" })

alert_action {
  title = "Page the on-call",
  fields = {
    {
      name = "service",
      label = "Service",
      type = "select",
      required = true,
      options = function(q)
        local res = http.get("https://services.example/", { query = { q = q.query }, timeout = 10 })
        if not res then return nil, "The services could not be loaded" end
        return res:json()
      end,
    },
  },
  validate = function(settings)
    if settings.service == "none" then return nil, "Choose a service" end
    if settings.service == "broken" then error "validate broke" end
    if settings.service == "sleeps" then sleep(6) end
    if settings.service == "naps" then sleep(3) pcall(sleep, 3) end
    if settings.service == "slow" then http.get("https://slow.example/", { timeout = 20 }) end
    return true
  end,
  fire = function(settings, alert)
    http.post("https://pager.example/", { json = { service = settings.service, text = alert.title } })
  end,
}

issue_link {
  create = {
    fields = { { name = "title", label = "Title", type = "text", required = true } },
    run = function(fields, request)
      return { webUrl = request.webUrl, project = "OPS", identifier = fields.title }
    end,
  },
  link = {
    fields = { { name = "ticket", label = "Ticket", type = "text", required = true } },
    run = function() return nil, "There is no such ticket" end,
  },
}

stacktrace_link { url = function(q) return "https://git.example/" .. q.filename .. "#L" .. q.lineNo end }

function on_issue(event)
  if event.action == "ignored" then event:drop "nobody cares" end
  if event.action == "resolved" and event.attempt == 1 then event:retry { after = "10m", reason = "not yet" } end
  kv.set("seen/" .. event.data.issue.id, { at = os.time(), attempt = event.attempt }, { ttl = "1h" })
  local key = step("ticket", function(idempotency_key)
    local res = assert(http.post(secret "TRACKER_URL", {
      json = { title = event.data.issue.title, mark = marks.of(event) },
      headers = { ["Idempotency-Key"] = idempotency_key },
      timeout = 5,
    }))
    if not res.ok then error("the tracker is down: " .. res.status) end
    return res:json().key
  end)
  sleep(20)
  log.info("linked", { ticket = key, at = os.time() })
end

function on_comment(event)
  local api = sentry.api(event)
  local res = assert(api:put("/organizations/{org}/issues/" .. event.data.issue_id .. "/", { assignedTo = "team:42" }))
  log.info("assigned", { status = res.status })
end

function on_installation(event)
  local found = assert(sentry.install(event))
  log.info("installed", { org = found.organization.slug })
end
