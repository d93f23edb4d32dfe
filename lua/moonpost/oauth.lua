-- OAuth 2: authorization codes with PKCE (RFC 7636), refresh, device grant
-- (RFC 8628), of any server; Sentry's where none is named.
--
-- It runs in the script's own state.  src/script/l_oauth.c loads it with the
-- functions that only C can have, and calls what it returns.

local core = ...
local error, ipairs, next, pairs, rawget, tonumber, tostring, type =
  error, ipairs, next, pairs, rawget, tonumber, tostring, type
local concat, sort, time = table.concat, table.sort, os.time
local globals = _G
local crypto, json, sleep = require "crypto", require "json", require "sleep"

local DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"

-- RFC 8628, section 3.2 and 3.5.
local INTERVAL, SLOW_DOWN = 5, 5

local M = {}

local function is_text(v)
  return type(v) == "string" and v ~= ""
end

-- The options of a function, checked by name: known is name -> true, "text" or
-- "needed".
local function check(options, what, known)
  if type(options) ~= "table" then
    error(what .. ": the options are a table", 3)
  end
  for key, value in pairs(options) do
    local kind = known[key]
    if not kind then
      local names = {}
      for name in pairs(known) do
        names[#names + 1] = name
      end
      sort(names)
      error(what .. ": unknown option '" .. tostring(key) .. "': there are " .. concat(names, ", "), 3)
    end
    if kind ~= true and not is_text(value) then
      error(what .. ": '" .. key .. "' must be text", 3)
    end
  end
  for key, kind in pairs(known) do
    if kind == "needed" and options[key] == nil then
      error(what .. ": '" .. key .. "' is missing", 3)
    end
  end
end

-- Where Sentry is, as the host says.
local function sentry_url()
  local answer, message, code = core.ask("sentry", {})
  if not answer then
    return nil, message, code
  end
  return answer.url
end

-- A URL that the script gave, or the one of Sentry's with that path; and whether
-- it is Sentry's.
local function url_or(given, path)
  if given then
    return given, false
  end
  local url, message, code = sentry_url()
  if not url then
    return nil, message, code
  end
  return url .. path, true
end

local function escape(s)
  return (tostring(s):gsub("[^%w%-._~]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

local function scope_of(scope)
  if type(scope) == "table" then
    return concat(scope, " ")
  end
  return scope
end

-- ---- requests ----------------------------------------------------------------

-- Post a form.  A token request may spend what works once, so it is never made on
-- a connection that was used before: libcurl repeats by itself what such a one
-- did not answer.
local function post(url, to_sentry, form, basic)
  local headers = { Accept = "application/json" }
  if basic then
    headers.Authorization = "Basic " .. crypto.base64(escape(basic[1]) .. ":" .. escape(basic[2]))
  end
  local send = to_sentry and core.to_sentry or core.fresh
  local res, message, code = send { method = "POST", url = url, form = form, headers = headers }
  if not res then
    return nil, message, code
  end
  local body = res:json()
  if type(body) ~= "table" then
    return nil, "the server answered " .. res.status .. ", which is no answer of an OAuth server", "invalid"
  end
  if res.status >= 200 and res.status < 300 and body.error == nil then
    return body
  end
  local why = is_text(body.error) and body.error or "invalid"
  message = is_text(body.error_description) and body.error_description or is_text(body.detail) and body.detail
  return nil, why .. (message and ": " .. message or "") .. " (status " .. res.status .. ")", why
end

-- Put the client's credentials where they belong.  Returns what Basic needs.
local function authenticate(form, options, what)
  if options.auth ~= nil and options.auth ~= "body" and options.auth ~= "basic" then
    error(what .. ": 'auth' is \"body\" or \"basic\"", 3)
  end
  if options.auth == "basic" then
    if not options.client_secret then
      error(what .. ": Basic needs a 'client_secret'", 3)
    end
    return { options.client_id, options.client_secret }
  end
  form.client_id = options.client_id
  form.client_secret = options.client_secret
end

-- A token with the time at which it ends, in unix seconds.
local function token(answer, message, code)
  if not answer then
    return nil, message, code
  end
  if not is_text(answer.access_token) then
    return nil, "the answer has no access_token", "invalid"
  end
  local seconds = tonumber(answer.expires_in)
  if seconds then
    answer.expires_at = time() + seconds // 1 | 0
  end
  for key, value in pairs(answer) do
    if value == json.null then
      answer[key] = nil
    end
  end
  return answer
end

-- oauth.pkce(verifier)
function M.pkce(verifier)
  if verifier == nil then
    verifier = crypto.base64url(crypto.random(32))
  elseif type(verifier) ~= "string" or #verifier < 43 or #verifier > 128 or verifier:find("[^%w%-._~]") then
    error("oauth.pkce: a verifier is 43 to 128 letters, digits and -._~", 2)
  end
  return { verifier = verifier, challenge = crypto.base64url(crypto.sha256(verifier, "raw")), method = "S256" }
end

local flow_options = { client_secret = "text", auth = "text" }
local exchange_options = {
  code = "needed", client_id = "needed", client_secret = "text", redirect_uri = "text",
  code_verifier = "text", token_url = "text", auth = "text",
}

-- oauth.exchange(options), oauth.exchange(event, options)
function M.exchange(what, more)
  local options
  if type(what) == "table" and what.resource == "oauth" and type(what.data) == "table" and is_text(what.data.flow) then
    more = more or {}
    check(more, "oauth.exchange", flow_options)
    local flow, message, code = core.ask("oauth-flow", { flow = what.data.flow })
    if not flow then
      return nil, message, code
    end
    flow.client_secret, flow.auth = more.client_secret, more.auth
    options = flow
  else
    check(what, "oauth.exchange", exchange_options)
    options = what
  end
  local form = {
    grant_type = "authorization_code", code = options.code,
    redirect_uri = options.redirect_uri, code_verifier = options.code_verifier,
  }
  local basic = authenticate(form, options, "oauth.exchange")
  local url, to_sentry, code = url_or(options.token_url, "/oauth/token/")
  if not url then
    return nil, to_sentry, code
  end
  return token(post(url, to_sentry, form, basic))
end

local refresh_options = {
  refresh_token = "needed", client_id = "needed", client_secret = "text", token_url = "text", auth = "text",
}

-- oauth.refresh(options)
function M.refresh(options)
  check(options, "oauth.refresh", refresh_options)
  local form = { grant_type = "refresh_token", refresh_token = options.refresh_token }
  local basic = authenticate(form, options, "oauth.refresh")
  local url, to_sentry, code = url_or(options.token_url, "/oauth/token/")
  if not url then
    return nil, to_sentry, code
  end
  return token(post(url, to_sentry, form, basic))
end

-- ---- authorization by a browser ----------------------------------------------

local authorize_options = {
  client_id = "needed", redirect_uri = "needed", scope = true, authorize_url = "text", token_url = "text",
  name = "text", data = true, params = true,
}

-- oauth.authorize_url(options)
function M.authorize_url(options)
  check(options, "oauth.authorize_url", authorize_options)
  if type(rawget(globals, "on_oauth")) ~= "function" then
    error("oauth.authorize_url: the script has no on_oauth(event), which would be called at the end", 2)
  end
  if options.authorize_url and not options.token_url then
    error("oauth.authorize_url: 'token_url' is missing: where is a code of " .. options.authorize_url .. " exchanged?", 2)
  end
  local url, message, code = url_or(options.authorize_url, "/oauth/authorize/")
  if not url then
    return nil, message, code
  end
  local flow
  flow, message, code = core.ask("oauth-begin", {
    client_id = options.client_id, redirect_uri = options.redirect_uri,
    token_url = options.token_url, name = options.name, data = options.data,
  })
  if not flow then
    return nil, message, code
  end
  local query = {
    response_type = "code", client_id = options.client_id, redirect_uri = options.redirect_uri,
    scope = scope_of(options.scope), state = flow.state,
    code_challenge = flow.challenge, code_challenge_method = "S256",
  }
  for key, value in pairs(options.params or {}) do
    if query[key] ~= nil then
      error("oauth.authorize_url: 'params' must not set '" .. tostring(key) .. "'", 2)
    end
    query[key] = value
  end
  local names, parts = {}, {}
  for key in next, query do
    names[#names + 1] = key
  end
  sort(names)
  for _, key in ipairs(names) do
    parts[#parts + 1] = escape(key) .. "=" .. escape(query[key])
  end
  return url .. (url:find("?", 1, true) and "&" or "?") .. concat(parts, "&")
end

-- ---- device grant --------------------------------------------------------------

local start_options = { client_id = "needed", scope = true, device_url = "text", client_secret = "text" }

-- oauth.device_start(options)
function M.device_start(options)
  check(options, "oauth.device_start", start_options)
  local url, to_sentry, code = url_or(options.device_url, "/oauth/device/code/")
  if not url then
    return nil, to_sentry, code
  end
  local form = { client_id = options.client_id, client_secret = options.client_secret, scope = scope_of(options.scope) }
  local device, message
  device, message, code = post(url, to_sentry, form)
  if not device then
    return nil, message, code
  end
  if not is_text(device.device_code) or not is_text(device.user_code) then
    return nil, "the answer has no device_code or user_code", "invalid"
  end
  device.interval = tonumber(device.interval) or INTERVAL
  device.expires_at = time() + (tonumber(device.expires_in) or 600) // 1 | 0
  return device
end

local poll_options = {
  device_code = "needed", client_id = "needed", client_secret = "text", token_url = "text",
  interval = true, expires_at = true, auth = "text",
}

-- oauth.device_poll(options)
function M.device_poll(options)
  check(options, "oauth.device_poll", poll_options)
  local url, to_sentry, code = url_or(options.token_url, "/oauth/token/")
  if not url then
    return nil, to_sentry, code
  end
  local interval = tonumber(options.interval) or INTERVAL
  while true do
    if options.expires_at and time() >= options.expires_at then
      return nil, "nobody has entered the code in time", "expired_token"
    end
    -- The handler ends before the person is done: it can ask again later.
    if interval >= core.left() then
      return nil, "nobody has entered the code yet", "authorization_pending"
    end
    sleep(interval)
    local form = { grant_type = DEVICE_GRANT, device_code = options.device_code }
    local basic = authenticate(form, options, "oauth.device_poll")
    local answer, message
    answer, message, code = post(url, to_sentry, form, basic)
    if code == "slow_down" then
      interval = interval + SLOW_DOWN
    elseif code ~= "authorization_pending" and code ~= "timeout" and code ~= "connect" then
      return token(answer, message, code)
    end
  end
end

return M
