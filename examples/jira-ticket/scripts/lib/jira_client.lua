-- The two calls of Jira's REST API (version 2) that the handler needs.

local base = secret "JIRA_URL" -- https://acme.atlassian.net
local project = secret "JIRA_PROJECT" -- OPS
local headers = { Authorization = "Basic " .. secret "JIRA_BASIC" } -- base64 of mail:token

local jira = {}

local function checked(res, what)
  if not res.ok then error(what .. ": Jira answered " .. res.status .. ": " .. res.body, 2) end
  return res:json()
end

-- The key of the ticket with that label, or nil.
function jira.find(label)
  local res = assert(http.get(base .. "/rest/api/2/search", {
    headers = headers,
    timeout = 10,
    query = { jql = 'labels = "' .. label .. '"', fields = "key", maxResults = 1 },
  }))
  local first = checked(res, "search").issues[1]
  return first and first.key
end

function jira.create(fields)
  fields.project = { key = project }
  fields.issuetype = { name = "Bug" }
  local res = assert(http.post(base .. "/rest/api/2/issue", {
    headers = headers,
    timeout = 10,
    json = { fields = fields },
  }))
  return checked(res, "create").key
end

return jira
