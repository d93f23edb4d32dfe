-- The module testing: every function, and what it says when something is wrong.

local testing = require "testing"

-- The message of a failure, without "file:line: ".
local function says(fn)
  return (testing.fails(fn):gsub("^[^\n]-_test%.lua:%d+: ", ""))
end

function test_equal()
  testing.equal(1, 1.0)
  testing.equal("a", "a")
  testing.equal(says(function() testing.equal(1, 2) end), "expected 2, got 1")
  testing.equal(says(function() testing.equal("a\n", nil, "hm") end), 'hm: expected nil, got "a\\n"')
  testing.equal(says(function() testing.equal(1, "1") end), 'expected "1", got 1: a string and a number')
  testing.matches(says(function() testing.equal({}, {}) end), "^not the same table %(testing%.same compares")
  testing.matches(testing.fails(function() testing.equal(1, 2) end), "testing_test%.lua:17: ")
  testing.matches(says(function() testing.equal(("x"):rep(3000), "y") end), "%.%.%. %(3000 bytes in all%)")
end

function test_same()
  testing.same({ 1, { a = json.null } }, { 1, { a = json.null } })
  testing.same({ 0 / 0 }, { 0 / 0 })
  local loop = {}
  loop.me = loop
  testing.same(loop, loop)
  local other = { me = loop }
  testing.same(other, loop)
  testing.equal(says(function() testing.same({ a = { 1, { b = 3 } } }, { a = { 1, { b = 4 } } }) end),
    "differs at a[2].b: expected 4, got 3\n  in { a = { 1, { b = 3 } } }")
  testing.equal(says(function() testing.same({}, { ["a b"] = 1 }) end), 'differs at ["a b"]: expected 1, got nil\n  in {}')
  testing.equal(says(function() testing.same("x", { 1 }) end), 'expected { 1 }, got "x"')
  testing.matches(says(function() testing.same(loop, { me = 1 }) end), "the same table again")
end

function test_is_true_and_matches()
  testing.is_true(0)
  testing.equal(says(function() testing.is_true(nil) end), "expected a true value, got nil")
  testing.matches("abc", "b")
  testing.equal(says(function() testing.matches("abc", "^b") end), 'nothing matches "^b" in "abc"')
  testing.equal(says(function() testing.matches(7, "7") end), 'expected text that matches "7", got 7')
  testing.matches(says(function() testing.matches("a", nil) end), "the pattern is a nil")
end

function test_fails()
  testing.equal(testing.fails(function() error("no", 0) end, "^no$"), "no")
  testing.same(testing.fails(function() error { code = 1 } end, "code = 1"), { code = 1 })
  testing.equal(says(function() testing.fails(function() end) end), "expected an error, there was none")
  testing.equal(says(function() testing.fails(function() error("no", 0) end, "yes") end),
    'an error was expected that matches "yes", got "no"')
  testing.matches(says(function() testing.fails "x" end), "the first is a string")
end

function test_sample()
  local body = testing.sample("issue.created", { data = { issue = { level = "fatal", tags = { 1 } } }, extra = true })
  testing.equal(body.action, "created")
  testing.equal(body.data.issue.level, "fatal")
  testing.same(body.data.issue.tags, { 1 })
  testing.is_true(body.data.issue.title)
  testing.equal(body.extra, true)
  body = testing.sample("issue.created", function(b) b.data.issue.title = nil end)
  testing.equal(body.data.issue.title, nil)
  testing.matches(says(function() testing.sample "issue.craeted" end), 'created')
  testing.matches(says(function() testing.sample() end), 'takes a name like "issue.created"')
  testing.matches(says(function() testing.sample("issue.created", 7) end), "a table or a function, not a number")
end

function test_load()
  testing.matches(says(function() testing.load "wrold" end),
    '^there is no script "wrold" beside this test; did you mean "world"%?$')
  testing.matches(says(function() testing.load(7) end), "takes the name of a script")
  testing.matches(says(function() testing.load("x", 7) end), "the source of a script is text")
  local t = testing.load("bad", "x =")
  testing.matches(says(function() t:deliver "issue.created" end), "^bad does not load: .*bad.lua:1: ")
  -- It has its own sandbox, and no way to what the test has.
  t = testing.load("alone", [[
    function on_issue()
      assert(not pcall(require, "testing"))
      assert(os.getenv == nil and io == nil)
      leak = (leak or 0) + 1
      log.info(tostring(leak))
    end
  ]])
  testing.equal(t:deliver("issue.created").log[1].message, "1")
  testing.equal(t:deliver("issue.created").log[1].message, "2", "its globals stay")
  testing.equal(leak, nil)
end

local function caller(source)
  return testing.load("caller", "function on_issue() " .. source .. " end")
end

function test_http_answers()
  local t = caller [[
    local res = http.request { method = "DELETE", url = "https://a.example/x?y=1", body = "\0\255", headers = { X = 1 } }
    log.info(res.body, { status = res.status, kind = res.headers["Content-Type"], n = res:json().n })
  ]]
  t:http("delete", "https://a.example/x?y=1", function(request)
    testing.equal(request.body, "\0\255")
    testing.equal(request.json, nil)
    testing.equal(request.headers.x, "1")
    return { status = 202, body = '{"n":7}', headers = { ["Content-Type"] = "text/x" } }
  end)
  local run = t:deliver "issue.created"
  testing.equal(run.outcome, "done", run.error)
  testing.same(run.log[1].fields, { status = 202, kind = "text/x", n = 7 })
end

function test_http_trouble()
  local source = [[
    local res, message, code = http.get("https://a.example/", { timeout = 3, max_bytes = 10 })
    log.info(tostring(message), { code = code, at = os.clock() })
  ]]
  for _, code in ipairs { "timeout", "resolve", "connect", "tls", "too_large", "blocked", "invalid" } do
    local t = caller(source)
    t:http("GET", "*", code)
    local run = t:deliver "issue.created"
    testing.equal(run.log[1].fields.code, code)
    testing.equal(run.calls[1].error, run.log[1].message)
    testing.equal(run.calls[1].status, nil)
  end
  local t = caller(source)
  t:http("GET", "*", { error = "tls", message = "expired" })
  testing.equal(t:deliver("issue.created").log[1].message, "expired")
  t:http("GET", "*", { body = ("x"):rep(11) })
  testing.equal(t:deliver("issue.created").log[1].fields.code, "too_large")
  t:http("GET", "*", { delay = 4 })
  local run = t:deliver "issue.created"
  testing.equal(run.log[1].fields.code, "timeout")
  testing.equal(run.duration, 3)
  t:http("GET", "*", { delay = "2s", body = "ok" })
  run = t:deliver "issue.created"
  testing.equal(run.log[1].fields.code, nil)
  testing.equal(run.duration, 2)
end

function test_http_in_order_and_in_parallel()
  local t = caller [[
    local all = http.all { { url = "https://a.example/1" }, { url = "https://a.example/2" } }
    log.info(all[1].body .. all[2].body)
  ]]
  t:http("GET", "https://a.example/1", { body = "a", delay = 5 })
  t:http("GET", "https://a.example/2", { body = "b" })
  local run = t:deliver "issue.created"
  testing.equal(run.log[1].message, "ab")
  testing.equal(run.duration, 5)
end

function test_http_retries_take_no_time_of_ours()
  local t = caller [[
    local res = http.get("https://a.example/", { retries = 3, timeout = 1 })
    log.info(tostring(res.status))
  ]]
  t:http("GET", "*", { status = 503, headers = { ["Retry-After"] = "7" } })
  t:http("GET", "*", "timeout")
  t:http("GET", "*", { status = 200 })
  local run = t:deliver "issue.created"
  testing.equal(run.log[1].message, "200")
  testing.equal(#run.calls, 3)
  testing.is_true(run.duration >= 7)
end

function test_http_any_number_of_times()
  local t = caller 'for _ = 1, 3 do http.get "https://a.example/x" end http.post "https://b.example/"'
  local any = t:http("*", "https://a.example/*", nil, { times = "any" })
  local never = t:http("*", "https://never.example/", nil, { times = "any" })
  t:http("POST", "https://b.example/")
  testing.equal(t:deliver("issue.created").outcome, "done")
  testing.equal(#any.calls, 3)
  testing.equal(#never.calls, 0)
  t = caller 'http.get "https://a.example/" http.get "https://a.example/"'
  t:http("GET", "https://a.example/", { status = 204 }, { times = 2 })
  testing.equal(t:deliver("issue.created").outcome, "done")
end

function test_http_is_told_what_is_no_response()
  local t = caller ""
  local function refused(response, pattern)
    testing.matches(says(function() t:http("GET", "https://a.example/", response) end), pattern)
  end
  refused({ stauts = 200 }, 'no "stauts"; did you mean "status"')
  refused({ status = 99 }, "from 100 to 599, not 99")
  refused({ status = "200" }, "from 100 to 599")
  refused("offline", 'no error of http is "offline": they are blocked, connect')
  refused(7, "not a number")
  refused({ json = {}, body = "" }, "json or body, not both")
  refused({ body = {} }, "the body of a response is text")
  testing.matches(says(function() t:http("GET") end), "begins with two strings")
  testing.matches(says(function() t:http("GET", "x", nil, { time = 1 }) end), 'no option "time": there is times')
  testing.matches(says(function() t:http("GET", "x", nil, { times = 0 }) end), 'a number from 1 on, or "any"')
  testing.matches(says(function() t.http("GET", "x") end), "call it with a colon")
end

function test_deliver_takes_bodies_in_three_ways()
  local t = testing.load("dump", "function on_event(e) log.info(json.encode(e.payload), { headers = e.headers, "
    .. "warnings = e.warnings, id = e.id, request_id = e.request_id, at = e.received_at, ts = e.timestamp }) end")
  local run = t:deliver("weather.sunny", '{"action":"sunny","n":12345678901234567}')
  testing.same(json.decode(run.log[1].message), { action = "sunny", n = 12345678901234567 })
  testing.equal(run.log[1].fields.headers["Sentry-Hook-Resource"], "weather")
  testing.equal(run.log[1].fields.id, "1")
  testing.equal(math.floor(run.log[1].fields.at), run.log[1].fields.ts)
  run = t:deliver("weather.sunny", { action = "sunny" }, { request_id = "r1", headers = { ["X-Test"] = 1 } })
  testing.equal(run.log[1].message, '{"action":"sunny"}')
  testing.equal(run.log[1].fields.request_id, "r1")
  testing.equal(run.log[1].fields.headers["X-Test"], "1")
  run = t:deliver("issue.created", function(body) body.data.issue.title = "T" end)
  testing.matches(run.log[1].message, '"title":"T"')
  testing.matches(says(function() t:deliver("issue.created", "{") end), "^the body is not JSON: ")
  testing.matches(says(function() t:deliver() end), 'takes a name like "issue.created"')
  testing.matches(says(function() t:deliver("issue.created", nil, { valid = true }) end), 'no option "valid"')
end

function test_deliver_checks_the_shape()
  local t = testing.load("shape", "function on_issue(e) log.info('w', { w = e.warnings }) end")
  local bad = { data = { issue = { level = "fatl" } } }
  testing.matches(says(function() t:deliver("issue.created", bad) end),
    '^Sentry does not send this: /data/issue/level: .*did you mean "fatal"')
  testing.equal(#t:deliver("issue.created", bad, { validation = "off" }).log[1].fields.w, 0)
  local run = t:deliver("issue.created", bad, { validation = "warn" })
  testing.equal(run.log[1].fields.w[1].pointer, "/data/issue/level")
  testing.matches(says(function() t:deliver("issue.created", bad, { validation = "lax" }) end), '"strict", "warn" or "off"')
end

function test_time_stands_still()
  testing.set_time(1000)
  testing.equal(os.time(), 1000)
  testing.equal(os.date("!%H:%M:%S"), "00:16:40")
  sleep(5)
  testing.equal(os.time(), 1005)
  local t = testing.load("clock", [[function on_issue(e)
    local before, clock = os.time(), os.clock()
    sleep "10s"
    log.info("t", { before = before, after = os.time(), spent = os.clock() - clock, at = e.received_at })
  end]])
  local fields = t:deliver("issue.created").log[1].fields
  testing.equal(fields.before, 1005)
  testing.equal(fields.after, 1015)
  testing.equal(fields.at, 1005)
  testing.is_true(fields.spent >= 10 and fields.spent < 11)
  t:advance "1h"
  testing.equal(os.time(), 1015 + 3600)
  testing.matches(says(function() testing.set_time(1) end), "before anything is loaded")
  testing.matches(says(function() t:advance(-1) end), "seconds or text like")
  testing.matches(says(function() t:advance "soon" end), 'not "soon"')
end

function test_set_time_takes_no_nonsense()
  testing.matches(says(function() testing.set_time "noon" end), 'text like "2026%-01%-31T09:00:00Z"')
  testing.matches(says(function() testing.set_time(-1) end), "not %-1")
end

function test_kv()
  local t = testing.load("store", [[
    function on_issue()
      log.info("k", { get = kv.get "a", add = kv.add("a", 2), new = kv.add("b", 2, { ttl = 60 }), n = kv.incr("n", 5),
        del = kv.delete "c", list = kv.list "" })
      kv.set("null", json.null)
      kv.incr "a"
    end
  ]])
  t:kv("a", { 1 })
  t:kv("c", true)
  t:kv("gone", 1, { ttl = "10s" })
  t:advance(10)
  local run = t:deliver "issue.created"
  testing.same(run.log[1].fields,
    { get = { 1 }, add = false, new = true, n = 5, del = true, list = { "a", "b", "n" } })
  testing.equal(run.outcome, "error")
  testing.matches(run.error, "kv.incr: ")
  testing.equal(t:kv "null", json.null)
  testing.equal(t:kv "c", nil)
  testing.equal(t:kv "gone", nil)
  t:advance(60)
  testing.equal(t:kv "b", nil)
  t:kv("a", nil)
  testing.equal(t:kv "a", nil)
  testing.matches(says(function() t:kv(7) end), "a key of kv is text")
end

function test_secrets()
  local t = caller 'log.info(secret "A_KEY" .. secret "B_KEY")'
  t:secret("A_KEY", "x")
  t:secret("B_KEY", "old")
  t:secret("B_KEY", "new")
  testing.equal(t:deliver("issue.created").log[1].message, "xnew")
  testing.matches(says(function() t:secret("A_KEY") end), "takes two strings")
  local run = caller('secret "C_KEY"'):deliver "issue.created"
  testing.matches(run.error, 'no secret C_KEY: give it to the script under test by t:secret%("C_KEY", value%)')
end

function test_logs_of_every_level()
  local run = caller('log.debug "d" log.warn("w", { n = 1 }) log.error "e" print("p", 1)'):deliver "issue.created"
  local levels = {}
  for i, line in ipairs(run.log) do levels[i] = line.level .. " " .. line.message end
  testing.same(levels, { "debug d", "warn w", "error e", "info p\t1" })
end

function test_limits_hold()
  local run = caller("while true do end"):deliver "issue.created"
  testing.matches(run.error, "CPU limit of 1s exceeded")
  run = caller('local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(100000) .. i end'):deliver "issue.created"
  testing.matches(run.error, "memory limit of 64MiB exceeded")
  run = caller("sleep(31)"):deliver "issue.created"
  testing.matches(run.error, "event:retry{after = ...}", nil)
end
