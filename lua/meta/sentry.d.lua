---@meta
-- Types for lua-language-server, never loaded at run time.

---Sentry's API, with the token of the installation that an event comes from. The
---host keeps the tokens, refreshes them, and gives a handler none but the one it
---needs; where Sentry refuses one, the client gets a new one and tries once more.
---
---    function on_issue(event)
---      local api = sentry.api(event)
---      local res = assert(api:put("/organizations/{org}/issues/" .. event.data.issue.id .. "/", { status = "resolved" }))
---      if not res.ok then error(res.detail) end
---    end
---
---The calls that handlers make most, and the scope that the integration needs:
---
---| what | call | scope |
---|---|---|
---| change an issue | `api:put("/organizations/{org}/issues/ID/", { status = "resolved", assignedTo = "user:1" })` | event:write |
---| read one | `api:get("/organizations/{org}/issues/ID/")` | event:read |
---| add a note | `api:post("/organizations/{org}/issues/ID/notes/", { text = "seen" })` | event:write |
---| link a ticket | `sentry.external_issue(event, { issueId = ID, webUrl = URL, project = "OPS", identifier = "OPS-1" })` | event:write |
---| list issues | `for issue in api:pages("/organizations/{org}/issues/", { query = { query = "is:unresolved" } }) do ... end` | event:read |
---| list projects | `for project in api:pages("/organizations/{org}/projects/") do ... end` | org:read |
---
---An internal integration has a token without an end: put it into the secret
---`SENTRY_TOKEN` (docs/sentry.md).
---@class sentry
sentry = {}

---@class sentry.options
---@field query? table<string, string|number|boolean|(string|number)[]> appended to the URL
---@field timeout? number|string seconds or text with a unit, for the whole request (default 10)
---@field max_bytes? integer longest body of the answer (default 8 MiB)

---@class sentry.response: http.response
---@field detail? string with a status of 400 and above: what Sentry says is wrong, its messages by field in one text

---@class sentry.installation
---@field uuid string
---@field status "installed"
---@field organization { slug: string? }
---@field app { slug: string?, uuid: string? }

---`{org}` in a path is the slug of the installation's organization. Where a rate
---limit is used up the client waits until it is reset; if the handler has not so
---much time, the run ends there, and the job is tried again then.
---@class sentry.client
---@field get fun(self: sentry.client, path: string, options?: sentry.options): sentry.response?, string?, http.code? `nil, message, code` if there was no answer or is no token
---@field delete fun(self: sentry.client, path: string, options?: sentry.options): sentry.response?, string?, http.code?
---@field post fun(self: sentry.client, path: string, body?: table, options?: sentry.options): sentry.response?, string?, http.code?
---@field put fun(self: sentry.client, path: string, body?: table, options?: sentry.options): sentry.response?, string?, http.code?
---@field patch fun(self: sentry.client, path: string, body?: table, options?: sentry.options): sentry.response?, string?, http.code?
---@field pages fun(self: sentry.client, path: string, options?: sentry.options): fun(): any goes over the rows of all pages; trouble is an error

---A client for the installation that the event comes from. Nothing is sent before
---its first call. Without an argument it is one for an internal integration.
---@param who? event|sentry.installation|{ uuid: string }|string the event, an installation, or its UUID
---@return sentry.client
function sentry.api(who) end

---Finish an installation: exchange the code that the event brings, tell Sentry that
---it is installed, keep the tokens. It may be called any number of times: what is
---done is not done again. With `--auto-install` (the default) the host has done it
---before the handler runs, and this returns what is there.
---@param event event of the resource `installation`
---@return sentry.installation? installation or nil, a message and a code
---@return string? message
---@return "unauth"|"not_found"|"invalid"|"unavailable"|http.code? code
function sentry.install(event) end

---Link something elsewhere to an issue, as `project#identifier` beside it. Sentry
---keeps one for each issue and integration. Needs event:write.
---@param event event|sentry.installation|{ uuid: string }|string
---@param fields { issueId: integer|string, webUrl: string, project: string, identifier: string }
---@return sentry.response? response or nil, a message and a code
---@return string? message
---@return http.code? code
function sentry.external_issue(event, fields) end
