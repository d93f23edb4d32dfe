---@meta
-- UI components of a Sentry integration: each is one table, declared while the
-- script loads; an integration has one of each.  `moonpost ui-schema` prints the
-- JSON for the integration's Schema box, `moonpost check` says what Sentry would
-- refuse, `moonpost preview` shows the form.

---@class ui.option
---@field value string What is saved. A whole number becomes text.
---@field label string What people see.
---@field default? boolean Of an options function alone: chosen to begin with.

---What Sentry asks an options function.
---@class ui.options_query
---@field query string What was typed so far; "" to begin with.
---@field projectSlug? string
---@field installationId? string
---@field dependentData table<string, any> The fields of `depends_on`: name -> value.

---@class ui.field
---@field name string Unique in its form. With an options function: letters, digits, `_`, `-`, `.`.
---@field label string
---@field type "text"|"textarea"|"select"
---@field required? boolean At least one field of a form must be.
---@field default? "issue.title"|"issue.description" Of text and textarea.
---@field options? ui.option[]|fun(q: ui.options_query): ui.option[]|nil, string? Of a select. A function is served at `/ui/options/NAME`; `nil, message` shows the message.
---@field async? boolean Of an options function: asked while typing (Sentry's default) or once, when the form opens.
---@field depends_on? string[] Of an options function: it is asked again when one of these fields changes.
---@field skip_load_on_open? boolean Of an options function: not asked before something is typed.

---What Sentry posts, decoded.
---@class ui.request
---@field installationId string
---@field fields table As Sentry sent them.
---@field issueId? integer Of an issue link, as are the others.
---@field webUrl? string
---@field project? {slug: string, id: integer}
---@field actor? {type: string, id: integer, name: string}

---The alert, whichever of the three kinds it is.
---@class ui.alert
---@field title string? The rule's title, or the event's or issue's own.
---@field url string? What to open in Sentry.
---@field level string? Sentry's level; of a metric alert "critical", "warning", "error" (open) or "info" (resolved).
---@field state string "triggered", "open", "warning", "critical" or "resolved".
---@field project string? Its slug.
---@field resource "event_alert"|"metric_alert"|"activity_alert"
---@field settings_missing boolean Sentry sent no settings, as happens with metric alerts.

---@class ui.alert_action
---@field title string What people choose in Sentry's list of actions.
---@field description? string 1 to 140 characters.
---@field fields ui.field[]
---@field validate? fun(settings: table, request: ui.request): boolean|string|nil, string? When an alert is saved: true, or a text that is shown; or `nil, message`, and the alert is not saved.
---@field fire? fun(settings: table, alert: ui.alert, event: event) When an alert comes: a job of its own, retried like any other. Settings are name -> value.

---@class ui.link_form
---@field fields ui.field[]
---@field run fun(fields: table, request: ui.request): {webUrl: string, project: string, identifier: string|integer}|nil, string? `nil, message` shows the message.

---@class ui.issue_link
---@field title? string For the preview alone.
---@field description? string
---@field create ui.link_form
---@field link ui.link_form

---@class ui.stacktrace_query
---@field filename? string
---@field lineNo? integer
---@field projectSlug? string
---@field installationId? string

---@class ui.stacktrace_link
---@field url fun(q: ui.stacktrace_query): string?, string? Where the browser goes. Anybody can ask: Sentry does not sign this.

---A custom alert action.
---
---    alert_action {
---      title = "Page the on-call",
---      fields = { { name = "service", label = "Service", type = "text", required = true } },
---      fire = function(settings, alert) http.post(secret "PAGER_URL", { json = { text = alert.title } }) end,
---    }
---@param component ui.alert_action
function alert_action(component) end

---"Link issue" in Sentry: make an issue in another tracker, or link one.
---@param component ui.issue_link
function issue_link(component) end

---A link beside every stack frame.
---@param component ui.stacktrace_link
function stacktrace_link(component) end
