---@meta
-- Types for lua-language-server, never loaded at run time.

---Functions that run by the clock, without a delivery from Sentry.
---
---A script says while it loads what is to run when; each schedule has a name, which
---is the only one of its kind in the script. What is due becomes a job as a delivery's
---handler does: kept in the store, run once, retried with backoff after an error, shown
---by the console (resource `schedule`, action and handler by its name), replayed by hand.
---However often the host is started again, and however many hosts share a store, a due
---time runs once. A schedule whose last run still waits or runs (its script is paused, say)
---is not started beside it, but when that has ended.
---
---Catching up: of the times that passed while the host was not running, or while a run held
---up the next, the last one is run, once, and `event.data.missed` says how many others
---there were; with `catch_up = "none"` what is more than a minute late is not run at
---all. A schedule that is new, or has another rule than before, begins when it is
---loaded: nothing before that is caught up.
---@class schedule
schedule = {}

---@class schedule.options
---@field catch_up? "once"|"none" what to do about missed times; default "once"

---@class schedule.cron_options: schedule.options
---@field tz? string a time zone of tzdata, like "Europe/Vienna"; default "UTC"

---@class schedule.event: event
---@field data schedule.data

---@class schedule.data
---@field name string the schedule's
---@field due_at integer when it was due, in seconds since 1970: `os.date("!%c", event.data.due_at)`
---@field missed integer how many due times before that did not run

---Run a function again and again, an interval apart, the first time one interval after
---the schedule was first loaded. A restart or a reload does not begin anew.
---
---    schedule.every("5m", "poll", function(event) kv.set("seen", http.get(URL).body) end)
---@param interval number|string seconds, or text with a unit ("90s", "5m", "1d"); whole seconds, at least one
---@param name string 1 to 100 bytes
---@param fn fun(event: schedule.event)
---@param options? schedule.options
function schedule.every(interval, name, fn, options) end

---Run a function at times that a cron expression names: minute (0-59), hour (0-23), day
---of the month (1-31, or L for the last one), month (1-12 or jan-dec), day of the week (0-7
---or sun-sat; 0 and 7 are Sunday). A field is `*`, a value, a range `9-17`, a step `*/5` or
---`10-50/5`, or a list of those with commas. If both day fields are told (neither begins with
---`*`), a day that fits one of them is enough. `@hourly`, `@daily`, `@midnight`, `@weekly`,
---`@monthly`, `@yearly` and `@annually` stand for the usual ones.
---
---When clocks are changed: times that are left out run once, at the first instant after
---the gap (02:30 on the night that 02:00 becomes 03:00 runs at 03:00), and times
---that come twice run the first time. If the hour field begins with `*`, neither applies:
---every five minutes stays every five minutes.
---
---    schedule.cron("0 9 * * mon-fri", "digest", send_digest, { tz = "Europe/Vienna" })
---@param expression string
---@param name string 1 to 100 bytes
---@param fn fun(event: schedule.event)
---@param options? schedule.cron_options
function schedule.cron(expression, name, fn, options) end
