-- The calls of PagerDuty's REST API (version 2) that the alert action needs.

local token = secret "PAGERDUTY_TOKEN" -- a REST API key
local from = secret "PAGERDUTY_FROM" -- the mail address of a PagerDuty user

local pagerduty = {}

local function call(method, path, options)
  options.method = method
  options.url = "https://api.pagerduty.com" .. path
  options.timeout = options.timeout or 10
  options.headers = {
    Authorization = "Token token=" .. token,
    Accept = "application/vnd.pagerduty+json;version=2",
    From = from,
  }
  return assert(http.request(options))
end

local function checked(res, what)
  if not res.ok then error(what .. ": PagerDuty answered " .. res.status .. ": " .. res.body, 2) end
  return res:json()
end

-- Up to 25 services whose name contains `query`. Sentry waits for this: the deadline is short.
function pagerduty.services(query)
  local res = call("GET", "/services", { query = { query = query, limit = 25 }, timeout = 3 })
  return checked(res, "list of services").services
end

-- Whether there is such a service.
function pagerduty.has_service(id)
  local res = call("GET", "/services/" .. id, { timeout = 3 })
  if res.status == 404 then return false end
  checked(res, "service " .. id)
  return true
end

-- Open an incident and return its id; nil if one with that key is open already.
function pagerduty.open(incident)
  local res = call("POST", "/incidents", {
    json = {
      incident = {
        type = "incident",
        title = incident.title,
        service = { id = incident.service, type = "service_reference" },
        urgency = incident.urgency,
        incident_key = incident.key,
        body = { type = "incident_body", details = incident.details },
      },
    },
  })
  if res.status == 400 and res.body:find("matching dedup key", 1, true) then return nil end
  return checked(res, "new incident").incident.id
end

function pagerduty.resolve(id)
  local res = call("PUT", "/incidents/" .. id, {
    json = { incident = { type = "incident", status = "resolved" } },
  })
  if res.status ~= 404 then checked(res, "incident " .. id) end
end

return pagerduty
