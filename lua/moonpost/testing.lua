-- Tests of handlers: require "testing".  For users: lua/meta/testing.d.lua
--
-- A test plays the host: what the script under test does (a request, a step, a
-- question to kv) arrives here one after the other, and is answered from what
-- the test said.  `core` is the way there, see src/script/l_testing.c.

local core = ...
local json, utf8 = json, utf8
local error, type, pairs, ipairs, tostring = error, type, pairs, ipairs, tostring
local getmetatable, setmetatable, rawget, select, next = getmetatable, setmetatable, rawget, select, next
local pcall, xpcall, tonumber = pcall, xpcall, tonumber
local math, string, table = math, string, table

local testing = {}

local SCRIPTS_MAX = 100 -- as TESTRUN_MOCKS_MAX

local scripts = {}    -- all that the test has loaded
local runs = {}       -- the last that it has had run, the first first
local unexpected = {} -- requests that nobody expected: { message, where }

-- ---- what a person sees --------------------------------------------------

local TEXT_MAX = 1000 -- characters of a body or a value in a message

local function cut(text)
  if #text <= TEXT_MAX then return text end
  return text:sub(1, TEXT_MAX) .. "... (" .. #text .. " bytes in all)"
end

local function quoted(text)
  return '"' .. text:gsub('[%c"\\\127]', function(c)
    local known = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }
    return known[c] or string.format("\\%03d", c:byte())
  end) .. '"'
end

-- Numbers before strings before the rest, each in its own order.
local function before(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then return ta < tb end
  if ta == "number" or ta == "string" then return a < b end
  return tostring(a) < tostring(b)
end

local function sorted_keys(t)
  local keys = {}
  for k in next, t do keys[#keys + 1] = k end
  table.sort(keys, before)
  return keys
end

local function show(value, depth, seen)
  local kind = type(value)
  if kind == "string" then return quoted(cut(value)) end
  if value == json.null then return "json.null" end
  if kind ~= "table" then return tostring(value) end
  depth, seen = depth or 0, seen or {}
  if seen[value] then return "{the same table again}" end
  if depth > 20 then return "{...}" end
  seen[value] = true
  local parts, n, len = {}, #value, 0
  for i = 1, n do parts[i] = show(value[i], depth + 1, seen) end
  for _, k in ipairs(sorted_keys(value)) do
    if not (math.type(k) == "integer" and k >= 1 and k <= n) then
      local name = type(k) == "string" and k:match("^[%a_][%w_]*$") or "[" .. show(k, depth + 1, seen) .. "]"
      parts[#parts + 1] = name .. " = " .. show(value[k], depth + 1, seen)
    end
  end
  seen[value] = nil
  for _, part in ipairs(parts) do len = len + #part + 2 end
  if len <= 70 then return #parts == 0 and "{}" or "{ " .. table.concat(parts, ", ") .. " }" end
  local indent = ("  "):rep(depth + 1)
  return "{\n" .. indent .. table.concat(parts, ",\n" .. indent) .. "\n" .. ("  "):rep(depth) .. "}"
end

local function shown(value)
  return type(value) == "string" and show(value) or cut(show(value))
end

-- End the test: what is wrong, and where in its file.
local function fail(message, note)
  if note ~= nil then message = tostring(note) .. ": " .. message end
  error(core.where() .. ": " .. message, 0)
end

-- ---- assertions ----------------------------------------------------------

-- Two values side by side, or below each other where they are long.
local function versus(expected, got)
  local a, b = shown(expected), shown(got)
  if #a + #b > 80 or (a .. b):find("\n", 1, true) then
    return "\n  expected: " .. a:gsub("\n", "\n  ") .. "\n  got:      " .. b:gsub("\n", "\n  ")
  end
  return "expected " .. a .. ", got " .. b
end

function testing.equal(got, expected, note)
  if got == expected then return end
  local message = versus(expected, got)
  if type(got) == "table" and type(expected) == "table" then
    message = "not the same table (testing.same compares what is in them): " .. message
  elseif tostring(got) == tostring(expected) then
    message = message .. ": a " .. type(expected) .. " and a " .. type(got)
  end
  fail(message, note)
end

-- The path to the first difference, and both values there; nil if there is none.
local function difference(got, expected, path, seen)
  if got == expected or got ~= got and expected ~= expected then return nil end
  if type(got) ~= "table" or type(expected) ~= "table" then return path, got, expected end
  if seen[got] == expected then return nil end
  seen[got] = expected
  local keys = {}
  for k in next, expected do keys[k] = true end
  for k in next, got do keys[k] = true end
  for _, k in ipairs(sorted_keys(keys)) do
    local name = type(k) == "string" and k:match("^[%a_][%w_]*$") and "." .. k or "[" .. show(k) .. "]"
    local where, a, b = difference(got[k], expected[k], path .. name, seen)
    if where then return where, a, b end
  end
  return nil
end

function testing.same(got, expected, note)
  local path, a, b = difference(got, expected, "", {})
  if not path then return end
  if path == "" then fail(versus(b, a), note) end
  fail("differs at " .. path:gsub("^%.", "") .. ": " .. versus(b, a) .. "\n  in " .. shown(got):gsub("\n", "\n  "), note)
end

function testing.is_true(value, note)
  if not value then fail("expected a true value, got " .. shown(value), note) end
end

function testing.matches(text, pattern, note)
  if type(pattern) ~= "string" then fail("testing.matches(text, pattern): the pattern is a " .. type(pattern)) end
  if type(text) ~= "string" then fail("expected text that matches " .. quoted(pattern) .. ", got " .. shown(text), note) end
  if not text:find(pattern) then
    fail("nothing matches " .. quoted(pattern) .. " in " .. shown(text), note)
  end
end

function testing.fails(fn, pattern, note)
  if type(fn) ~= "function" then fail("testing.fails(fn, pattern): the first is a " .. type(fn)) end
  local ok, message = pcall(fn)
  if ok then fail("expected an error, there was none", note) end
  local text = type(message) == "string" and message or shown(message)
  if pattern ~= nil and not text:find(pattern) then
    fail("an error was expected that matches " .. quoted(pattern) .. ", got " .. shown(text), note)
  end
  return message
end

-- ---- samples -------------------------------------------------------------

local function catalog(question, body)
  local answer, message = core.catalog(question, body)
  if answer == nil then fail(message) end
  return answer
end

local function is_array(t)
  return #t > 0 or getmetatable(t) ~= nil
end

-- Put what `from` has over `to`: objects are merged, the rest is replaced.
local function merge(to, from, path)
  for k, v in pairs(from) do
    if type(v) == "function" then fail("the override " .. path .. tostring(k) .. " is a function") end
    if type(v) == "table" and type(to[k]) == "table" and not is_array(v) and not is_array(to[k]) then
      merge(to[k], v, path .. tostring(k) .. ".")
    else
      to[k] = v
    end
  end
  return to
end

local function override(body, overrides)
  if type(overrides) == "table" then
    merge(body, overrides, "")
  elseif type(overrides) == "function" then
    overrides(body)
  elseif overrides ~= nil then
    fail("overrides are a table or a function, not a " .. type(overrides))
  end
  return body
end

function testing.set_time(time)
  if #scripts > 0 then fail("set the time before anything is loaded") end
  if core.begin(time) then return end
  fail('a time is text like "2026-01-31T09:00:00Z", or seconds since 1970, not ' .. shown(time))
end

function testing.sample(event, overrides)
  if type(event) ~= "string" then fail('testing.sample takes a name like "issue.created"') end
  return override(catalog("sample:" .. event), overrides)
end

-- ---- the script and its world --------------------------------------------

local Script = {}
Script.__index = Script


-- Headers are found in any case of their letters.
local headers_meta = {
  __index = function(t, name)
    return type(name) == "string" and rawget(t, name:lower()) or nil
  end,
}

-- Steps are a list, and found by name.
local steps_meta = {
  __index = function(t, name)
    if type(name) ~= "string" then return nil end
    for _, step in ipairs(t) do
      if step.name == name then return step.result end
    end
  end,
}

-- The last ones are what a failure is about, as a rule.
local NOTED_RUNS, NOTED_LINES = 5, 100

local function note_run(run)
  for i, other in ipairs(runs) do
    if other == run then table.remove(runs, i) end
  end
  runs[#runs + 1] = run
  if #runs > NOTED_RUNS then table.remove(runs, 1) end
end

function testing.load(name, source)
  if type(name) ~= "string" then fail('testing.load takes the name of a script, like "on_issue"') end
  if source ~= nil and type(source) ~= "string" then fail("the source of a script is text") end
  if #scripts >= SCRIPTS_MAX then fail("a test may load " .. SCRIPTS_MAX .. " scripts, not more") end
  local handle = core.script(name, source)
  if not handle then
    local names = core.scripts()
    local meant = core.closest(name, names)
    fail("there is no script " .. quoted(name) .. " beside this test"
      .. (meant and "; did you mean " .. quoted(meant) .. "?"
        or #names > 0 and ": there is " .. table.concat(names, ", ") or ""))
  end
  local t = setmetatable({
    name = name,
    handle = handle,
    expected = {},
    store = {},
    secrets = {},
    org = "acme", -- whose token it is
    flows = {}, -- authorizations that were begun
    due = {}, -- by job, its run that has another attempt to come
    deliveries = 0,
  }, Script)
  scripts[#scripts + 1] = t
  return t
end

local function check_self(self, method)
  if getmetatable(self) ~= Script then
    fail("call it with a colon: t:" .. method .. "(...)")
  end
end

function Script:secret(name, value)
  check_self(self, "secret")
  if type(name) ~= "string" or type(value) ~= "string" then fail("t:secret(name, value) takes two strings") end
  core.secret(self.handle, name, value)
end

local error_codes = {
  timeout = "the peer did not answer in time",
  resolve = "the name cannot be resolved",
  connect = "nobody listens there",
  tls = "the certificate is not trusted",
  too_large = "the answer is too long",
  blocked = "an address that is not open to scripts",
  invalid = "the answer is not HTTP",
}

local response_keys = { status = true, json = true, body = true, headers = true, delay = true, error = true, message = true }

local function seconds(value, what)
  if type(value) == "number" and value >= 0 and value < math.huge then return value end
  local number, unit = tostring(value):match("^(%d+%.?%d*)(%a+)$")
  local units = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400 }
  if type(value) ~= "string" or not units[unit] then
    fail(what .. ' is seconds or text like "500ms", "2s", "10m", not ' .. shown(value))
  end
  return tonumber(number) * units[unit]
end

local function milliseconds(value, what) return math.floor(seconds(value, what) * 1000 + 0.5) end

-- What t:http() was given as a response, checked.
local function check_response(response)
  if response == nil then return {} end
  if type(response) == "function" then return response end
  if type(response) == "string" then response = { error = response } end
  if type(response) ~= "table" then
    fail("a response is a table, the code of an error, or a function, not a " .. type(response))
  end
  for k in pairs(response) do
    if not response_keys[k] then
      local names = sorted_keys(response_keys)
      local meant = type(k) == "string" and core.closest(k, names)
      fail("a response has no " .. shown(k) .. (meant and "; did you mean " .. quoted(meant) .. "?" or ""))
    end
  end
  if response.error ~= nil and not error_codes[response.error] then
    fail("no error of http is " .. shown(response.error) .. ": they are " .. table.concat(sorted_keys(error_codes), ", "))
  end
  if response.status ~= nil and (math.type(response.status) ~= "integer" or response.status < 100 or response.status > 599) then
    fail("a status is a whole number from 100 to 599, not " .. shown(response.status))
  end
  if response.json ~= nil and response.body ~= nil then fail("a response has json or body, not both") end
  if response.body ~= nil and type(response.body) ~= "string" then fail("the body of a response is text; json = takes a table") end
  return response
end

-- "https://jira.example/*": a star stands for anything, all else for itself.
local function to_pattern(glob)
  return "^" .. glob:gsub("[^%w%s*]", "%%%0"):gsub("%*", ".*") .. "$"
end

function Script:http(method, url, response, options)
  check_self(self, "http")
  if type(method) ~= "string" or type(url) ~= "string" then
    fail('t:http(method, url, response) begins with two strings, like "POST", "https://jira.example/*"')
  end
  local times = 1
  for k, v in pairs(options or {}) do
    if k ~= "times" then fail("t:http has no option " .. shown(k) .. ": there is times") end
    times = v
    if times ~= "any" and (math.type(times) ~= "integer" or times < 1) then
      fail('times is a number from 1 on, or "any", not ' .. shown(times))
    end
  end
  local expectation = {
    method = method:upper(),
    url = url,
    pattern = to_pattern(url),
    response = check_response(response),
    times = times,
    calls = {},
    where = core.where(),
  }
  self.expected[#self.expected + 1] = expectation
  return expectation
end

-- ---- answering what the script asks for ----------------------------------

local function parse_headers(text)
  local headers = setmetatable({}, headers_meta)
  for name, value in text:gmatch("([^:\n]+):[ \t]*([^\n]*)\n") do
    headers[name:lower()] = value
  end
  return headers
end

local function describe(request)
  local body = request.body
  if body and #body > 0 then
    if not utf8.len(body) or body:find("[%z\1-\8]") then body = "(" .. #body .. " bytes)" end
    return request.method .. " " .. request.url .. "\n  " .. cut(body):gsub("\n", "\n  ")
  end
  return request.method .. " " .. request.url
end

local function is_used_up(expectation)
  return expectation.times ~= "any" and #expectation.calls >= expectation.times
end

local function is_met(expectation)
  return expectation.times == "any" or #expectation.calls >= expectation.times
end

local function fits(expectation, request)
  return (expectation.method == "*" or expectation.method == request.method)
    and request.url:find(expectation.pattern) ~= nil
end

-- The next expectation in order; one for any number of times may be passed over.
local function take_expectation(t, request)
  for _, expectation in ipairs(t.expected) do
    if not is_used_up(expectation) then
      if fits(expectation, request) then return expectation end
      if not is_met(expectation) then return nil, expectation end
    end
  end
  return nil
end

local function refuse(t, request)
  local _, next_one = take_expectation(t, request)
  local message = t.name .. " made a request that nobody expected: " .. describe(request)
  if next_one then
    message = message .. "\n  expected next: " .. next_one.method .. " " .. next_one.url .. " (" .. next_one.where .. ")"
  end
  unexpected[#unexpected + 1] = { message = message, where = core.where() }
  fail(message)
end

-- The table that core.reply() takes.
local function reply_of(response)
  local reply = { status = response.status or 200, body = response.body or "", headers = {} }
  local has_type = false
  if response.delay ~= nil then reply.delay_ms = milliseconds(response.delay, "the delay of a response") end
  if response.error ~= nil then
    reply.code = response.error
    reply.error = response.message or error_codes[response.error]
    return reply
  end
  for name, value in pairs(response.headers or {}) do
    if tostring(name):lower() == "content-type" then has_type = true end
    reply.headers[#reply.headers + 1] = tostring(name) .. ": " .. tostring(value):gsub("[\r\n]", " ") .. "\n"
  end
  if response.json ~= nil then
    reply.body = json.encode(response.json)
    if not has_type then reply.headers[#reply.headers + 1] = "Content-Type: application/json\n" end
  end
  table.sort(reply.headers)
  reply.headers = table.concat(reply.headers)
  return reply
end

local on = {}

function on.request(t, request, run)
  local id = request.id
  request.id = nil
  request.headers = parse_headers(request.headers)
  if request.body and request.body:find("^%s*[%[{]") then request.json = json.decode(request.body) end

  local expectation = take_expectation(t, request)
  if not expectation then refuse(t, request) end
  expectation.calls[#expectation.calls + 1] = request
  local response = expectation.response
  if type(response) == "function" then response = check_response(response(request)) end
  local reply = reply_of(response)
  request.status = not reply.error and reply.status or nil
  request.error = reply.error
  if run then run.calls[#run.calls + 1] = request end
  core.reply(t.handle, id, reply)
end

function on.step(t, step, run)
  run.steps[#run.steps + 1] = { name = step.name, result = json.decode(step.json), json = step.json, at = core.now() / 1000 }
  core.answer(t.handle, "step", step.id, {})
end

function on.log(_, line, run)
  local list = run and run.log
  if list then list[#list + 1] = line end
  line.job = nil
end

-- What lies under a key, if its time is not over.
local function stored(t, key)
  local item = t.store[key]
  if item and item.until_ms and core.now() >= item.until_ms then
    t.store[key] = nil
    return nil
  end
  return item
end

local function put(t, key, value_json, ttl_ms)
  t.store[key] = { json = value_json, until_ms = ttl_ms and ttl_ms > 0 and core.now() + ttl_ms or nil }
end

local kv = {}

function kv.get(t, ask)
  local item = stored(t, ask.key)
  return { found = item ~= nil, json = item and item.json }
end

function kv.set(t, ask)
  put(t, ask.key, ask.json, ask.ttl_ms)
  return {}
end

function kv.add(t, ask)
  local found = stored(t, ask.key) ~= nil
  if not found then put(t, ask.key, ask.json, ask.ttl_ms) end
  return { found = found }
end

function kv.delete(t, ask)
  local found = stored(t, ask.key) ~= nil
  t.store[ask.key] = nil
  return { found = found }
end

function kv.incr(t, ask)
  local item = stored(t, ask.key)
  local value = item and json.decode(item.json) or 0
  if math.type(value) ~= "integer" then return { code = "invalid", error = "the value is no integer" } end
  local sum = value + ask.by
  if (ask.by >= 0) ~= (sum >= value) then return { code = "invalid", error = "the value would be too large" } end
  if item then item.json = tostring(sum) else put(t, ask.key, tostring(sum)) end
  return { json = tostring(sum) }
end

function kv.list(t, ask)
  local keys = json.array {}
  for key in pairs(t.store) do
    if key:sub(1, #ask.key) == ask.key and stored(t, key) then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return { json = json.encode(keys) }
end

function on.kv(t, ask)
  core.answer(t.handle, "kv", ask.id, kv[ask.what](t, ask))
end

-- What a host does by topic; a module that asks for more adds its answer here.
local topics = {}

local SENTRY_URL = "https://sentry.io"

local function answer(value) return { found = true, json = json.encode(value) } end

-- The token of an installation. One that was refused is followed by another.
function topics.token(t, args)
  t.token = (t.token or 0) + (args.rejected and 1 or t.token and 0 or 1)
  return answer {
    token = "test-token-" .. t.token,
    url = SENTRY_URL,
    org = args.org or t.org,
    serial = t.token,
  }
end

-- The host has installed by itself, or is told to: both go well.
function topics.install(t, args)
  if args.auto then return answer(json.null) end
  return answer {
    uuid = args.uuid,
    status = "installed",
    organization = { slug = args.org or t.org },
    app = { slug = "test-app" },
  }
end

function topics.sentry() return answer { url = SENTRY_URL } end

-- An authorization that begins: t:authorize() ends it.
topics["oauth-begin"] = function(t, args)
  t.flows[#t.flows + 1] = args
  args.state = "test-state-" .. #t.flows
  return answer { state = args.state, challenge = "test-challenge-" .. #t.flows }
end

topics["oauth-flow"] = function(t, args)
  local flow = t.flows[tonumber(args.flow) or 0]
  if not flow or not flow.code then return { code = "not_found", error = "no such authorization, or it was used" } end
  local found = answer {
    code = flow.code,
    code_verifier = "test-verifier-" .. args.flow,
    client_id = flow.client_id,
    redirect_uri = flow.redirect_uri,
    token_url = flow.token_url,
  }
  flow.code = nil
  return found
end

function on.ask(t, ask)
  local topic = topics[ask.topic]
  core.answer(t.handle, "ask", ask.id, topic and topic(t, ask.args or {})
    or { code = "unavailable", error = "there is nobody in a test who knows " .. ask.topic })
end

-- Answer whatever the script brings until it brings what is waited for.
local function drive(t, wanted, run)
  while true do
    local what, value = core.next(t.handle)
    if what == wanted then return value end
    if what == "idle" then fail(t.name .. " waits for something that will not come") end
    on[what](t, value, run)
  end
end

-- The same; and if the test fails in there, nothing of the script goes on.
local function drive_safely(t, wanted, run)
  local ok, value = pcall(drive, t, wanted, run)
  if ok then return value end
  t.loaded = nil
  core.load(t.handle)
  error(value, 0)
end

-- When a schedule is due next after that time, in unix seconds; nil: never.
local function due_after(schedule, after_s)
  local next_ones, message = core.catalog("due:" .. after_s, json.encode { schedules = json.array { schedule } })
  if not next_ones then fail(message) end
  return next_ones[schedule.name]
end

-- The schedules of a script that was loaded just now.
local function plan(declared)
  local plans = {}
  for i, schedule in ipairs(declared.schedules or {}) do
    plans[i] = { schedule = schedule, due_s = due_after(schedule, core.now() // 1000) }
  end
  return plans
end

-- Load the script, unless it is.
local function load(t)
  if t.loaded then return t.loaded end
  local log_lines = {}
  core.load(t.handle)
  local loaded = drive_safely(t, "loaded", { log = log_lines, calls = {}, steps = {} })
  if loaded.error then
    fail(t.name .. " does not load: " .. loaded.error .. (loaded.traceback and "\n" .. loaded.traceback or ""))
  end
  loaded.log = log_lines
  t.loaded = loaded
  t.plans = t.plans or plan(loaded.declared)
  return loaded
end

-- ---- runs ----------------------------------------------------------------

-- The longest that the host would wait before the next attempt.
local RETRY_FIRST, RETRY_MAX, ATTEMPTS_MAX = 1, 3600, 16

local function backoff(attempt) return math.min(RETRY_FIRST * 2 ^ (attempt - 1), RETRY_MAX) end

local last_job = 0

local function timestamp(ms) return tostring(ms // 1000) end

-- Run one attempt of a job, and put into `run` what came of it.
local function attempt(t, run)
  local job, steps = run.job, {}
  local started = core.now()
  last_job = last_job + 1
  for i, step in ipairs(run.steps) do steps[i] = { name = step.name, json = step.json } end
  core.run(t.handle, last_job, {
    handler = run.handler,
    delivery = job.delivery,
    resource = job.resource,
    channel = job.channel,
    action = job.action,
    request_id = job.request_id,
    received_ms = job.received_ms,
    attempt = run.attempt,
    headers = job.headers,
    warnings = job.warnings,
    body = job.body,
    steps = steps,
  })
  note_run(run)
  local outcome = drive_safely(t, "outcome", run)
  run.outcome = outcome.outcome
  run.error = outcome.error
  run.reason = (run.outcome == "retry" or run.outcome == "dropped") and outcome.error or nil
  run.traceback = outcome.traceback
  run.duration = (core.now() - started) / 1000
  run.after = nil
  if run.outcome == "retry" or run.outcome == "error" then
    run.after = outcome.after or backoff(run.attempt)
    run.due_ms = select(2, core.now()) + math.floor(run.after * 1000)
  else
    run.due_ms = nil
  end
  t.due[job] = run.due_ms and run.attempt < ATTEMPTS_MAX and run or nil
  return run
end

local function new_run(t, job, handler, number, steps)
  return {
    job = job,
    script = t.name,
    event = job.event,
    handler = handler,
    attempt = number,
    calls = {},
    log = {},
    steps = setmetatable(steps or {}, steps_meta),
  }
end

-- "--validation" of the host.
local function validate(job, mode)
  if mode == "off" then return end
  local violation = catalog("check:" .. job.resource, job.body)
  if not violation.pointer then return end
  if mode == "warn" then
    job.warnings = json.encode(json.array { violation })
    return
  end
  fail("Sentry does not send this: " .. (violation.pointer == "" and "the body" or violation.pointer) .. ": "
    .. violation.message .. ' (deliver it all the same with { validation = "off" })')
end

local deliver_options = { validation = true, headers = true, request_id = true }

local function check_options(options)
  for k in pairs(options) do
    if not deliver_options[k] then
      fail("t:deliver has no option " .. shown(k) .. ": there are " .. table.concat(sorted_keys(deliver_options), ", "))
    end
  end
  local mode = options.validation or "strict"
  if mode ~= "strict" and mode ~= "warn" and mode ~= "off" then
    fail('validation is "strict", "warn" or "off", not ' .. shown(mode))
  end
  return mode
end

-- What Sentry would post, as the host keeps it.
local function make_job(t, event, overrides, options)
  local resource = event:match("^([^.]+)") or event
  local known = catalog("resource:" .. resource)
  local body = overrides
  if type(overrides) == "table" and not known.known then
    -- Of what no document knows there is no sample.
    body = json.encode(overrides)
  elseif type(overrides) ~= "string" then
    body = json.encode(testing.sample(event, overrides))
  end
  if body:find("\0", 1, true) then fail("a body is JSON, and that has no zero bytes") end
  local payload, message, offset = json.decode(body)
  if message and payload == nil then fail("the body is not JSON: " .. message .. " (at byte " .. tostring(offset) .. ")") end

  t.deliveries = t.deliveries + 1
  local now_ms = core.now()
  local job = {
    event = event,
    resource = resource,
    channel = known.channel ~= json.null and known.channel or nil,
    handlers = known.handlers,
    fires = known.fires,
    action = type(payload) == "table" and type(payload.action) == "string" and payload.action or nil,
    body = body,
    number = t.deliveries,
    delivery = tostring(t.deliveries),
    request_id = options.request_id or string.format("%032x", t.deliveries),
    received_ms = now_ms,
  }
  local headers = {
    ["Content-Type"] = "application/json",
    ["Request-ID"] = job.request_id,
    ["Sentry-Hook-Resource"] = resource,
    ["Sentry-Hook-Timestamp"] = timestamp(now_ms),
  }
  for k, v in pairs(options.headers or {}) do headers[k] = tostring(v) end
  job.headers = json.encode(headers)
  validate(job, check_options(options))
  return job
end

local FIRE = "alert_action.fire" -- as CATALOG_FIRE

local function handler_of(loaded, job)
  -- What the host itself makes is for one handler.
  if job.resource == "oauth" then return loaded.handlers.on_oauth and "on_oauth" end
  for _, name in ipairs(job.handlers) do
    if loaded.handlers[name] then return name end
  end
  return nil
end

function Script:deliver(event, overrides, options)
  check_self(self, "deliver")
  if type(event) ~= "string" then fail('t:deliver takes a name like "issue.created"') end
  local job = make_job(self, event, overrides, options or {})
  local loaded = load(self)
  local handler = handler_of(loaded, job)
  local fires = job.fires and loaded.handlers[FIRE]
  local run = new_run(self, job, handler, 1)
  if handler then
    attempt(self, run)
  elseif not fires then
    run.outcome = "unhandled"
    run.error = self.name .. " defines none of " .. table.concat(job.handlers, ", ")
    note_run(run)
  end
  -- An alert action is a job of its own.
  if fires then
    local fired = attempt(self, new_run(self, setmetatable({}, { __index = job }), FIRE, 1))
    if handler then run.fire = fired else run = fired end
  end
  return run
end

-- A delivery that the host itself makes.
local function own_delivery(t, resource, handler, action, data)
  t.deliveries = t.deliveries + 1
  local run = new_run(t, {
    event = resource .. "." .. action,
    resource = resource,
    channel = resource,
    action = action,
    body = json.encode { action = action, data = data },
    number = t.deliveries,
    delivery = tostring(t.deliveries),
    received_ms = core.now(),
    headers = "{}",
  }, handler, 1)
  return attempt(t, run)
end

function Script:authorize(code, name)
  check_self(self, "authorize")
  local flow = self.flows[#self.flows]
  if not flow then fail(self.name .. " has not called oauth.authorize_url") end
  if not load(self).handlers.on_oauth then fail(self.name .. " defines no on_oauth") end
  flow.code = code or "test-code-" .. #self.flows
  return own_delivery(self, "oauth", "on_oauth", name or flow.name or "authorized",
    { flow = tostring(#self.flows), data = flow.data })
end

-- ---- UI components ---------------------------------------------------------

local UI_DEADLINE_MS = 5000
local INSTALLATION = "7a485448-a9e2-4c85-8a3c-4f44175783c9"

local requests = {}

-- What Sentry sends when an alert is saved: the fields are a list.
requests["alert-rule-action"] = function(settings)
  local fields = json.array {}
  for _, name in ipairs(sorted_keys(settings)) do
    fields[#fields + 1] = { name = name, value = settings[name] }
  end
  return { fields = fields, installationId = INSTALLATION }
end

local function issue_link(settings)
  return {
    fields = settings,
    issueId = 1170820242,
    installationId = INSTALLATION,
    webUrl = "https://sentry.io/organizations/acme/issues/1170820242/",
    project = { slug = "front-end", id = 1 },
    actor = { type = "user", id = 1, name = "Ada" },
  }
end

requests["issue-link/create"] = issue_link
requests["issue-link/link"] = issue_link

requests["stacktrace-link"] = function(query)
  return merge({ installationId = INSTALLATION, projectSlug = "front-end", filename = "app/main.py", lineNo = "1" }, query, "")
end

local function options_request(query)
  local request = { installationId = INSTALLATION }
  for k, v in pairs(query) do
    -- What the fields that it depends on hold is JSON in the query.
    request[k] = type(v) == "table" and json.encode(v) or tostring(v)
  end
  return request
end

local last_invocation = 0

function Script:ui(route, settings)
  check_self(self, "ui")
  local make = type(route) == "string" and (requests[route] or route:find("^options/.") and options_request)
  if not make then
    fail("no component is " .. shown(route) .. ": there are options/NAME, " .. table.concat(sorted_keys(requests), ", "))
  end
  if settings ~= nil and type(settings) ~= "table" then fail("t:ui takes what was filled in as a table") end
  settings = settings or {}
  local request
  if type(settings.fields) == "table" and requests[route] then
    request = merge(make {}, settings, "")
    request.fields = settings.fields
  else
    request = make(settings)
  end
  load(self)
  last_invocation = last_invocation + 1
  local run = new_run(self, { event = route }, "ui", 1)
  note_run(run)
  core.invoke(self.handle, last_invocation, route, json.encode(request), UI_DEADLINE_MS)
  local invoked = drive_safely(self, "invoked", run)
  run.outcome = invoked.outcome
  local form = { calls = run.calls, log = run.log, error = invoked.error, traceback = invoked.traceback }
  run.error = invoked.error
  if invoked.outcome == "done" then
    form.status, form.body, form.location = invoked.answer.status, invoked.answer.body, invoked.answer.location
  elseif invoked.late then
    form.status, form.body = 504, { error = "timeout", message = "The integration did not answer in time: try again" }
  else
    form.status, form.body = 502, {
      error = "script_failed",
      message = "The integration's script failed; the log of its host says why",
    }
  end
  return form
end

local function next_attempt(t, run)
  local again = new_run(t, run.job, run.handler, run.attempt + 1)
  for i, step in ipairs(run.steps) do again.steps[i] = step end
  return again
end

function Script:redeliver(run)
  check_self(self, "redeliver")
  if type(run) ~= "table" or not run.job then fail("t:redeliver takes what t:deliver returned") end
  if not run.handler then fail("it was not handled: " .. run.error) end
  load(self)
  return attempt(self, next_attempt(self, run))
end

-- The schedule that is due first, up to then.
local function first_plan(t, until_ms)
  local first
  for _, candidate in ipairs(t.plans) do
    if candidate.due_s and candidate.due_s * 1000 <= until_ms and (not first or candidate.due_s < first.due_s) then
      first = candidate
    end
  end
  return first
end

-- The run whose next attempt is due first, up to then.
local function first_due(t, until_ms)
  local first
  for _, run in pairs(t.due) do
    if run.due_ms <= until_ms and (not first or run.due_ms < first.due_ms
      or run.due_ms == first.due_ms and run.job.number < first.job.number) then
      first = run
    end
  end
  return first
end

-- Milliseconds since the test began at which that time is.
local function elapsed_at(unix_ms)
  local now_ms, elapsed_ms = core.now()
  return elapsed_ms + (unix_ms - now_ms)
end

local function run_again(t, run)
  core.now(run.due_ms)
  -- The run that the test has becomes that of the next attempt.
  local again = next_attempt(t, run)
  for k in pairs(run) do run[k] = nil end
  for k, v in pairs(again) do run[k] = v end
  return attempt(t, run)
end

local function run_plan(t, candidate)
  local schedule, due_s = candidate.schedule, candidate.due_s
  core.now(elapsed_at(due_s * 1000))
  -- A run that takes longer than the interval misses some.
  local run = own_delivery(t, "schedule", "schedule:" .. schedule.name, schedule.name,
    { name = schedule.name, due_at = due_s, missed = 0 })
  candidate.due_s = due_after(schedule, due_s)
  return run
end

function Script:advance(time)
  check_self(self, "advance")
  local now_ms, elapsed_ms = core.now()
  local span_ms = milliseconds(time, "t:advance takes the time, which")
  local until_ms, done = elapsed_ms + span_ms, {}
  local function add(run)
    if not done[run] then done[#done + 1] = run end
    done[run] = true
  end
  load(self)
  while true do
    local run, candidate = first_due(self, until_ms), first_plan(self, now_ms + span_ms)
    if run and not (candidate and elapsed_at(candidate.due_s * 1000) < run.due_ms) then
      add(run_again(self, run))
    elseif candidate then
      add(run_plan(self, candidate))
    else
      break
    end
  end
  core.now(until_ms)
  for i = 1, #done do done[done[i]] = nil end
  return done
end

function Script:kv(key, ...)
  check_self(self, "kv")
  if type(key) ~= "string" then fail("a key of kv is text") end
  if select("#", ...) > 0 then
    local value, options = ...
    if value == nil then
      self.store[key] = nil
    else
      local ttl = options and options.ttl
      put(self, key, json.encode(value), ttl and milliseconds(ttl, "the ttl"))
    end
    return value
  end
  local item = stored(self, key)
  if item == nil then return nil end
  return (json.decode(item.json))
end

-- ---- the end of a test ---------------------------------------------------

-- What happened, for whoever looks for the reason of a failure.
local function notes()
  local lines = {}
  local function add(text) lines[#lines + 1] = cut(text) end
  for _, run in ipairs(runs) do
    add(run.script .. (run.handler and "." .. run.handler or "") .. "(" .. run.event .. "), attempt " .. run.attempt
      .. ": " .. (run.outcome or "broken off"))
    if run.error then add("  " .. run.error) end
    for _, call in ipairs(run.calls) do
      add("  " .. call.method .. " " .. call.url .. " -> " .. (call.error or tostring(call.status)))
    end
    for _, line in ipairs(run.log) do
      add("  log." .. line.level .. ": " .. line.message .. (next(line.fields) and " " .. show(line.fields) or ""))
    end
    if #lines > NOTED_LINES then
      add("...")
      break
    end
  end
  return json.array(lines)
end

-- What was expected has to have happened.
local function check_expectations()
  if unexpected[1] then error(unexpected[1].where .. ": " .. unexpected[1].message, 0) end
  for _, t in ipairs(scripts) do
    for _, expectation in ipairs(t.expected) do
      if not is_met(expectation) then
        local n = #expectation.calls
        error(expectation.where .. ": " .. t.name .. " never made the request that was expected: " .. expectation.method
          .. " " .. expectation.url .. (expectation.times > 1 and " (" .. n .. " of " .. expectation.times .. " times)" or ""), 0)
      end
    end
  end
end

local function main(test)
  local ok, message, traceback = xpcall(test, function(e, trace) return e, trace end)
  if type(message) == "string" and message:find("not enough memory", 1, true) then
    message = "the test has used up its memory (--memory-limit)"
  end
  if ok then
    ok, message = pcall(check_expectations)
    if ok then return { ok = true } end
  end
  return {
    ok = false,
    message = type(message) == "string" and message or "error object " .. shown(message),
    traceback = traceback or json.null,
    notes = notes(),
  }
end

return testing, main
