-- The Sentry client: what a handler calls of Sentry's API, with the token of its
-- installation, which the host keeps and gives out.
--
-- It runs in the script's own state.  src/script/l_sentry.c loads it with the
-- functions that only C can have, and calls what it returns.

local core = ...
local error, ipairs, pairs, setmetatable, tonumber, tostring, type =
  error, ipairs, pairs, setmetatable, tonumber, tostring, type
local concat, floor, max, sort, time = table.concat, math.floor, math.max, table.sort, os.time
local json, sleep = require "json", require "sleep"

-- Seconds: a longer wait than that is a retry of the job all the same.
local WAIT_MAX = 3600

local M = {}
local limits = {} -- installation -> when its rate limit is reset, in unix seconds

local function is_text(v)
  return type(v) == "string" and v ~= ""
end

-- What is there of a table of tables, or nil.
local function dig(t, ...)
  for _, key in ipairs { ... } do
    if type(t) ~= "table" then
      return nil
    end
    t = t[key]
  end
  return t ~= json.null and t or nil
end

-- The installation that an event, an installation, or a UUID stands for.
local function installation_of(who)
  if type(who) == "string" then
    return who
  end
  local uuid = dig(who, "installation", "uuid") or dig(who, "data", "installation", "uuid") or dig(who, "uuid")
  return is_text(uuid) and uuid or nil
end

local function org_of(who)
  local slug = dig(who, "data", "installation", "organization", "slug") or dig(who, "organization", "slug")
  return is_text(slug) and slug or nil
end

-- ---- answers ---------------------------------------------------------------

-- What Sentry says is wrong, as text: its `detail`, or its messages by field.
local function detail_of(res)
  local body = res:json()
  if type(body) ~= "table" then
    return nil
  end
  local detail = body.detail
  if is_text(detail) then
    return detail
  end
  if is_text(dig(detail, "message")) then
    return detail.message
  end
  local lines = {}
  for field, messages in pairs(body) do
    if type(messages) == "table" then
      local texts = {}
      for _, message in ipairs(messages) do
        texts[#texts + 1] = tostring(message)
      end
      messages = concat(texts, ", ")
    end
    lines[#lines + 1] = tostring(field) .. ": " .. tostring(messages)
  end
  sort(lines)
  return #lines > 0 and concat(lines, "; ") or nil
end

-- Remember that there is nothing left until the limit is reset.
local function note_limit(key, res)
  local reset = tonumber(res.headers["x-sentry-rate-limit-reset"])
  local remaining = tonumber(res.headers["x-sentry-rate-limit-remaining"])
  limits[key] = remaining == 0 and reset or nil
end

-- Seconds until a request that was answered 429 may be made again.
local function pause_of(res)
  local reset = tonumber(res.headers["x-sentry-rate-limit-reset"])
  local after = tonumber(res.headers["retry-after"])
  local pause = reset and reset - time() or after or 1
  return max(pause, after or 0, 1)
end

-- Wait, if the handler has the time; else have the job run again then. False:
-- neither can be done.
local function wait(seconds, why)
  seconds = seconds > WAIT_MAX and WAIT_MAX or seconds
  if seconds < core.left() then
    sleep(seconds)
    return true
  end
  core.retry(seconds, why)
  return false
end

-- ---- the client ------------------------------------------------------------

local function token_of(client, rejected)
  local answer, message, code = core.ask("token", {
    uuid = client.uuid,
    rejected = rejected,
    org = client.org,
  })
  if not answer then
    return nil, message, code
  end
  client.org = answer.org or client.org
  return answer
end

local function url_of(client, token, path)
  if type(path) ~= "string" or path:sub(1, 1) ~= "/" then
    error("a path of Sentry's API begins with a slash, like \"/organizations/{org}/issues/\"", 4)
  end
  if path:find("{org}", 1, true) then
    if not client.org then
      error("nobody has said yet which organization installation " .. tostring(client.uuid) ..
        " belongs to: write its slug instead of {org}", 4)
    end
    path = path:gsub("{org}", client.org)
  end
  if path:sub(1, 7) ~= "/api/0/" then
    path = "/api/0" .. path
  end
  return token.url .. path
end

local function send(client, method, path, body, options)
  local key = client.uuid or ""
  local token, message, code = token_of(client)
  local refused = false
  while token do
    local url = url_of(client, token, path)
    local reset = limits[key]
    if reset and reset > time() then
      wait(reset - time(), "Sentry's rate limit is used up")
    end
    local res
    res, message, code = core.request {
      method = method,
      url = url,
      json = body,
      query = options.query,
      timeout = options.timeout,
      max_bytes = options.max_bytes,
      headers = { Authorization = "Bearer " .. token.token, Accept = "application/json" },
    }
    if not res then
      return nil, message, code
    end
    note_limit(key, res)
    if res.status == 401 and not refused and token.serial then
      -- One 401 is no revocation: a new token, and once more.
      refused = true
      token = token_of(client, token.serial)
      if not token then
        res.detail = detail_of(res)
        return res
      end
    elseif res.status == 429 and wait(pause_of(res), "Sentry's rate limit") then
      token, message, code = token_of(client)
    else
      if res.status >= 400 then
        res.detail = detail_of(res)
      end
      return res
    end
  end
  return nil, message, code
end

local function options_of(options, name)
  if options == nil then
    return {}
  end
  if type(options) ~= "table" then
    error(name .. ": the options are a table", 3)
  end
  for key in pairs(options) do
    if key ~= "query" and key ~= "timeout" and key ~= "max_bytes" then
      error(name .. ": unknown option '" .. tostring(key) .. "': there are query, timeout, max_bytes", 3)
    end
  end
  return options
end

-- Where the next page is, by its cursor alone: the host of a link is not ours to
-- send a token to.
local function next_cursor(res)
  for link in (res.headers.link or ""):gmatch("<[^>]*>[^<]*") do
    if link:find('rel="next"', 1, true) and link:find('results="true"', 1, true) then
      return link:match('cursor="([^"]*)"')
    end
  end
end

local methods = {}

for _, name in ipairs { "get", "delete" } do
  methods[name] = function(client, path, options)
    return send(client, name:upper(), path, nil, options_of(options, name))
  end
end

for _, name in ipairs { "post", "put", "patch" } do
  methods[name] = function(client, path, body, options)
    if body ~= nil and type(body) ~= "table" then
      error(name .. ": the body is a table", 2)
    end
    return send(client, name:upper(), path, body or {}, options_of(options, name))
  end
end

function methods.pages(client, path, options)
  options = options_of(options, "pages")
  local query = {}
  for key, value in pairs(options.query or {}) do
    query[key] = value
  end
  local rows, at, more = {}, 0, true
  return function()
    while at >= #rows do
      if not more then
        return nil
      end
      local res, message = send(client, "GET", path, nil, { query = query, timeout = options.timeout, max_bytes = options.max_bytes })
      if not res then
        error(message, 2)
      end
      if not res.ok then
        error("Sentry answered " .. res.status .. (res.detail and ": " .. res.detail or ""), 2)
      end
      rows = res:json()
      if type(rows) ~= "table" then
        error("a page is not a list", 2)
      end
      at = 0
      query.cursor = next_cursor(res)
      more = query.cursor ~= nil
    end
    at = at + 1
    return rows[at]
  end
end

local meta = { __index = methods, __metatable = false, __name = "sentry.client" }

-- sentry.api(who)
function M.api(who)
  local uuid = installation_of(who)
  if who ~= nil and not uuid then
    error("sentry.api: give it the event, or an installation with its uuid", 2)
  end
  return setmetatable({ uuid = uuid, org = org_of(who) }, meta)
end

-- sentry.install(event)
function M.install(event)
  local uuid = installation_of(event)
  if not uuid then
    error("sentry.install: give it the event of an installation", 2)
  end
  local code = dig(event, "data", "installation", "code")
  local answer, message, trouble = core.ask("install", {
    uuid = uuid,
    code = is_text(code) and code or nil,
    org = org_of(event),
  })
  if not answer then
    return nil, message, trouble
  end
  return answer
end

-- sentry.external_issue(event, fields)
function M.external_issue(event, fields)
  local uuid = installation_of(event)
  if not uuid then
    error("sentry.external_issue: give it the event, or an installation with its uuid", 2)
  end
  if type(fields) ~= "table" then
    error("sentry.external_issue: the second argument is a table", 2)
  end
  local body = {}
  for _, name in ipairs { "webUrl", "project", "identifier" } do
    if fields[name] == nil then
      error("sentry.external_issue: '" .. name .. "' is missing", 2)
    end
    body[name] = tostring(fields[name])
  end
  local id = tonumber(fields.issueId)
  if not id or id ~= floor(id) then
    error("sentry.external_issue: 'issueId' must be the id of an issue, a whole number", 2)
  end
  body.issueId = id // 1 | 0
  return M.api(event):post("/sentry-app-installations/" .. uuid .. "/external-issues/", body)
end

-- The handler of an installation, when the host has done its part: what may get
-- better by itself is an error, so that the job is tried again.
local passing = { unavailable = true, timeout = true, resolve = true, connect = true, tls = true }

function M.first(handler, event)
  local code = dig(event, "data", "installation", "code")
  local answer, message, trouble = core.ask("install", {
    auto = true,
    uuid = installation_of(event),
    code = is_text(code) and code or nil,
    org = org_of(event),
  })
  if answer == nil and passing[trouble] then
    error("installing: " .. message, 0)
  end
  return handler(event)
end

return M
