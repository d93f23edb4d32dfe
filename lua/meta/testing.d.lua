---@meta
-- Types for lua-language-server, never loaded at run time.

---Tests of handlers: `require "testing"` in a file NAME_test.lua beside NAME.lua.
---
---Every global function `test_*` is a test and runs in a state of its own, by
---`moonpost test`. The scripts that it loads run as they do in `serve`, with the
---same sandbox and limits, but nothing leaves the process: requests are answered
---by what the test expects, kv and steps are empty at first, and time stands
---still until something moves it.
---
---    local testing = require "testing"
---
---    function test_opens_one_ticket()
---      local t = testing.load "on_issue"
---      t:secret("JIRA_URL", "https://jira.example/rest")
---      t:http("POST", "https://jira.example/*", { status = 201, json = { key = "OPS-1" } })
---      local run = t:deliver("issue.created", { data = { issue = { level = "fatal" } } })
---      testing.equal(run.outcome, "done")
---      testing.equal(run.steps.jira, "OPS-1")
---    end
---
---A request that nobody expected fails the test and is shown; so does an
---expectation that was never met. Sentry's API is at https://sentry.io/api/0/, with
---the token "test-token-1" of the organization "acme".
---@class testing
testing = {}

---A script under test, and its world: its own kv, secrets and expectations. The
---clock is the test's.
---@class testing.script
local script = {}

---@class testing.call a request that the script made
---@field method string
---@field url string
---@field headers table<string, string> found in any case of their letters
---@field body? string
---@field json? any the body, if it is JSON
---@field timeout number seconds
---@field status? integer what it was answered with
---@field error? string why there was no answer

---@class testing.step
---@field name string
---@field result any
---@field at number seconds since 1970

---@class testing.line what the script logged
---@field level "debug"|"info"|"warn"|"error"
---@field message string
---@field fields table<string, any>
---@field at number seconds since 1970

---What came of a delivery.
---@class testing.run
---@field outcome "done"|"retry"|"dropped"|"error"|"unhandled" unhandled: the script has no handler for it
---@field error? string "file:line: message"; of retry and dropped the reason
---@field traceback? string
---@field reason? string of retry and dropped
---@field after? number seconds until the next attempt: what the script asked for, or the longest pause of the host
---@field handler? string "on_issue"
---@field attempt integer 1 at first
---@field duration number seconds that have passed in it, by the test's clock
---@field fire? testing.run of an alert action, where the script has a handler for the delivery, too
---@field calls testing.call[] its requests, also those that were answered by an error
---@field log testing.line[]
---@field steps testing.step[]|table<string, any> in order; by name, their results

---@class testing.response
---@field status? integer default 200
---@field json? any a value that is sent as JSON
---@field body? string sent as it is; not with `json`
---@field headers? table<string, string|number>
---@field delay? number|string so long does the peer take; longer than the request's timeout is a timeout
---@field error? http.code there is no answer
---@field message? string of the error

---@class testing.expectation
---@field calls testing.call[] the requests that it has answered

---@class testing.form what Sentry would be answered
---@field status integer 200, 302, 400, 404; 502 if the script failed, 504 if it took too long
---@field body any
---@field location? string of a 302
---@field error? string of a 502 or 504: "file:line: message"
---@field traceback? string
---@field calls testing.call[]
---@field log testing.line[]

---@class testing.http_options
---@field times? integer|"any" how often it is made (default once); "any" may be never, and may be passed over

---@class testing.deliver_options
---@field validation? "strict"|"warn"|"off" as the option of `serve`; strict fails the test where Sentry does not send such a body
---@field headers? table<string, string> beside those that Sentry sends
---@field request_id? string

---Load a script of the folder that the test is in, in a fresh state. Its top level
---runs when it is first needed, so secrets may be given in between.
---@param name string "on_issue" for on_issue.lua
---@param source? string this text, instead of the file
---@return testing.script t
function testing.load(name, source) end

---What a secret of the script is.
---@param name string
---@param value string
function script:secret(name, value) end

---Expect a request. They are expected in the order in which they are told.
---
---    t:http("POST", "https://jira.example/*", { status = 201, json = { key = "OPS-1" } })
---    t:http("GET", "https://slow.example/", "timeout")
---    t:http("*", "https://echo.example/*", function(request) return { json = request.json } end, { times = "any" })
---@param method string "*" is any
---@param url string a star stands for anything, all else for itself
---@param response? testing.response|http.code|fun(request: testing.call): testing.response|http.code
---@param options? testing.http_options
---@return testing.expectation expectation
function script:http(method, url, response, options) end

---Deliver an event: a sample of the catalogue with something else in it. It
---returns when the handler has ended; what it sleeps takes no time.
---
---A table is merged into the sample, arrays are replaced; a function gets the body
---and may change it, also take something away; text is the whole body as it is.
---@param event string "issue.created"; see `moonpost channels`
---@param overrides? table|string|fun(body: table)
---@param options? testing.deliver_options
---@return testing.run run
function script:deliver(event, overrides, options) end

---The next attempt at a run, right now: steps that it recorded are kept.
---@param run testing.run
---@return testing.run again
function script:redeliver(run) end

---Let time pass. What is due in it happens in its order: schedules run; so does the
---next attempt at a run that ended with retry or error, which updates what
---`t:deliver` returned; keys of kv go.
---
---    testing.set_time "2026-02-02T08:59:00Z"
---    local t = testing.load "oncall"
---    testing.equal(t:advance("5m")[1].handler, "schedule:handover")
---@param time number|string seconds, or text with a unit ("10m")
---@return testing.run[] runs what ran
function script:advance(time) end

---Ask a UI component, as Sentry does.
---
---    t:ui("alert-rule-action", { service = "api" }).body.message
---    t:ui("options/service", { query = "ap", dependentData = { team = "a" } }).body[1].label
---@param route "alert-rule-action"|"issue-link/create"|"issue-link/link"|"stacktrace-link"|string or "options/NAME"
---@param settings? table what was filled in, by name; a table with `fields` is the request itself; of options and stacktrace-link the query
---@return testing.form form
function script:ui(route, settings) end

---End the authorization that the script began with `oauth.authorize_url`: its
---`on_oauth` runs.
---@param code? string
---@param name? string the event's action; else that of `authorize_url`
---@return testing.run run
function script:authorize(code, name) end

---The value under a key of kv, or nil.
---
---    t:kv("seen/1", true, { ttl = "10m" })   -- set it
---@param key string
---@param value? any set it to that; nil takes it away
---@param options? kv.options
---@return any? value
function script:kv(key, value, options) end

---Make it that time. Without, a test begins at the real time.
---@param time string|number "2026-01-31T09:00:00Z", or seconds since 1970
function testing.set_time(time) end

---A body as Sentry would send it, with something else in it.
---@param event string "issue.created"
---@param overrides? table|fun(body: table)
---@return table body
function testing.sample(event, overrides) end

---Fail unless `got == expected`.
---@param got any
---@param expected any
---@param note? string in front of the message
function testing.equal(got, expected, note) end

---Fail unless both hold the same, whatever tables they are.
---@param got any
---@param expected any
---@param note? string
function testing.same(got, expected, note) end

---Fail if it is nil or false.
---@param value any
---@param note? string
function testing.is_true(value, note) end

---Fail unless the Lua pattern is found in the text.
---@param text string
---@param pattern string
---@param note? string
function testing.matches(text, pattern, note) end

---Fail unless the function raises an error, and one that the pattern is found in.
---@param fn fun()
---@param pattern? string
---@param note? string
---@return any error
function testing.fails(fn, pattern, note) end
