-- The calls of Jira's REST API (version 2) that the scripts need.

local base = secret "JIRA_URL" -- https://acme.atlassian.net
local project = secret "JIRA_PROJECT" -- OPS
local authorization = "Basic " .. secret "JIRA_BASIC" -- base64 of mail:token

local jira = { project = project }

local function call(method, path, options)
  options = options or {}
  options.method = method
  options.url = base .. "/rest/api/2/" .. path
  options.headers = { Authorization = authorization }
  options.timeout = options.timeout or 10
  local res = assert(http.request(options))
  if not res.ok then
    error(method .. " " .. path .. ": Jira answered " .. res.status .. ": " .. res.body, 0)
  end
  return res.status ~= 204 and res:json() or nil
end

-- Text in quotes, as JQL wants it.
local function quoted(text) return '"' .. text:gsub('[\\"]', "\\%0") .. '"' end

function jira.url(key) return base .. "/browse/" .. key end

-- Tickets by a JQL query, each {key, summary, done}.
local function search(jql, timeout)
  local found = call("GET", "search", {
    query = { jql = jql, fields = "summary,status", maxResults = 50 },
    timeout = timeout,
  })
  local tickets = {}
  for i, row in ipairs(found.issues) do
    tickets[i] = {
      key = row.key,
      summary = row.fields.summary,
      done = row.fields.status.statusCategory.key == "done",
    }
  end
  return tickets
end

-- Open and closed tickets whose summary has `text`, for a person who waits.
function jira.matching(text)
  local jql = "project = " .. quoted(project)
  if text and text ~= "" then jql = jql .. " AND summary ~ " .. quoted(text .. "*") end
  return search(jql .. " ORDER BY updated DESC", 3)
end

-- The linked tickets that changed within the last minutes.
function jira.changed(minutes)
  local jql = "project = %s AND labels = sentry AND updated >= -%dm"
  return search(jql:format(quoted(project), minutes))
end

-- The ticket that a label marks, or nil.
function jira.labelled(label)
  return search("project = " .. quoted(project) .. " AND labels = " .. quoted(label))[1]
end

function jira.create(fields)
  fields.project = { key = project }
  fields.issuetype = { name = "Bug" }
  return call("POST", "issue", { json = { fields = fields } }).key
end

function jira.add_label(key, label)
  call("PUT", "issue/" .. key, {
    json = { update = { labels = { { add = "sentry" }, { add = label } } } },
  })
end

function jira.comment(key, text)
  call("POST", "issue/" .. key .. "/comment", { json = { body = text } })
end

-- Move a ticket to a status of that category ("done", "new"), by the first transition that leads
-- there. Returns false if none does from where the ticket is, as when it is there already.
function jira.move(key, category)
  local path = "issue/" .. key .. "/transitions"
  local found = call("GET", path)
  for _, transition in ipairs(found.transitions) do
    if transition.to.statusCategory.key == category then
      call("POST", path, { json = { transition = { id = transition.id } } })
      return true
    end
  end
  return false
end

return jira
