---@meta
-- The event that a handler gets: function on_issue(event) ... end
-- Types for lua-language-server, never loaded at run time.

---What Sentry sent, parsed, with what moonpost knows about the delivery.
---
---Tables are exact: a whole number of JSON is an integer of Lua (64 bits), null
---is `json.null` (which is true in a condition: compare with `== json.null`),
---and `[]` stays an array and `{}` an object through `json.encode`.
---@class event
---@field id string the delivery's id, as in the log and the console
---@field resource string the header Sentry-Hook-Resource: "issue", "event_alert", ...
---@field channel string? the channel of the resource: "issue", "alert", ...
---@field action string? "created", "resolved", ...
---@field integration string "default", or the name of a further integration
---@field installation table? the payload's `installation`, as a rule `{uuid = ...}`
---@field request_id string? the header Request-ID
---@field received_at number when it arrived, in seconds since 1970
---@field timestamp number? when Sentry sent it, in seconds since 1970, if it said so
---@field attempt integer 1 for the first run of this job
---@field headers table<string, string> found in any case of their letters; without signatures
---@field data table the payload's `data`
---@field actor table? who did it: `{type =, id =, name =}`
---@field error table? the error event, whether it came as data.error or as data.event
---@field payload table the whole body
---@field warnings table[] what is wrong with its shape, under --validation warn: `{pointer =, message =}`
event = {}

---@class event.retry_options
---@field after (number|string)? seconds or "500ms", "10m", "1h"; without it, the usual backoff
---@field reason string? for the log and the console

---End the run; the job runs again later.
---
---It does not return, and no pcall around it keeps the run alive. What is
---`<close>` gets closed.
---
---    if res.status == 429 then event:retry{after = "1m", reason = "rate limit"} end
---@param options event.retry_options?
function event:retry(options) end

---End the run; the job is `dropped` and does not run again.
---
---It does not return, and no pcall around it keeps the run alive.
---
---    if event.data.issue.level == "debug" then event:drop("not worth it") end
---@param reason string? for the log and the console
function event:drop(reason) end
