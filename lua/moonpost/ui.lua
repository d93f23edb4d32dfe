-- UI components: what a script declares with alert_action, issue_link and
-- stacktrace_link, checked by the rules of Sentry's own parser; the answers to
-- what Sentry asks of them; and what an alert action's `fire` gets.
--
-- It runs in the script's own state, so everything that it needs is taken while
-- it is loaded: what the script does to its globals later is of no interest.
-- src/script/l_ui.c loads it, and calls the functions that it returns.

local error, ipairs, next, pairs, pcall = error, ipairs, next, pairs, pcall
local select, tonumber, tostring, type = select, tonumber, tostring, type
local concat, format, math_type, upper, utf8_len = table.concat, string.format, math.type, string.upper, utf8.len
local json, log = require "json", require "log"

-- Sentry's own limit on the description of an alert action.
local DESCRIPTION_MAX = 140

local specs = {} -- kind -> what the script gave
local lists = {} -- field -> {function that gives its options, whose it is}

-- ---- what is declared ------------------------------------------------------

local function is_text(v)
  return type(v) == "string" and v:find("%S") ~= nil
end

local function refuse(...)
  error({ refused = format(...) }, 0)
end

local function check_keys(t, where, known)
  local names = {}
  for i, name in ipairs(known) do
    names[i], names[name] = name, true
  end
  for key in pairs(t) do
    if not names[key] then
      refuse("%sunknown key '%s': there are %s", where, tostring(key), concat(names, ", "))
    end
  end
end

local function check_text(t, key, where, why)
  if not is_text(t[key]) then
    refuse("%s'%s' must be text that is not empty%s", where, key, why or "")
  end
end

local function check_function(t, key, where, needed)
  if t[key] ~= nil and type(t[key]) ~= "function" or needed and t[key] == nil then
    refuse("%s'%s' must be a function", where, key)
  end
end

-- The n of a table whose keys are 1 to n, or nil.
local function list_len(t)
  if type(t) ~= "table" then
    return nil
  end
  local n = 0
  for _ in pairs(t) do
    n = n + 1
  end
  for i = 1, n do
    if t[i] == nil then
      return nil
    end
  end
  return n
end

-- A value as Sentry's parser wants it: text.
local function option_text(v)
  if type(v) == "string" then
    return v
  end
  if math_type(v) == "integer" then
    return tostring(v)
  end
  return nil
end

local function check_static(field, where)
  local n, seen, pairs_of = list_len(field.options), {}, {}
  if n == nil then
    refuse("%s'options' must be a list of {value =, label =}, or a function", where)
  end
  if n == 0 then
    refuse("%s'options' is empty: Sentry refuses a select without options", where)
  end
  for i, option in ipairs(field.options) do
    local place = format("%soptions[%d]: ", where, i)
    if type(option) ~= "table" then
      refuse("%smust be {value =, label =}, not a %s", place, type(option))
    end
    check_keys(option, place, { "value", "label" })
    local value, label = option_text(option.value), option_text(option.label)
    if value == nil or label == nil then
      refuse("%s'value' and 'label' must be text", place)
    end
    if seen[value] then
      refuse("%sthe value '%s' is there twice", place, value)
    end
    seen[value] = true
    pairs_of[i] = json.array { value, label }
  end
  return json.array(pairs_of)
end

local function check_dynamic(field, where, whose)
  local taken = lists[field.name]
  if not field.name:find("^[%w_.-]+$") or field.name:find("^%.+$") then
    refuse("%sits options are served at /ui/options/NAME: a name of letters, digits, '_', '-' and '.', "
      .. "please", where)
  end
  if taken and taken.run ~= field.options then
    refuse("%sthe field '%s' of %s has another options function: both would be /ui/options/%s", where,
      field.name, taken.whose, field.name)
  end
  return { run = field.options, whose = whose }
end

local FLAGS = { "async", "skip_load_on_open" }

local function check_select(field, where, data, whose, found)
  if field.options == nil then
    refuse("%sa select needs 'options': a list, or a function", where)
  end
  if field.default ~= nil then
    refuse("%sSentry knows no 'default' of a select; an options function can mark an option with "
      .. "default = true", where)
  end
  if type(field.options) == "function" then
    found[field.name] = check_dynamic(field, where, whose)
    data.dynamic = true
    data.uri = "/ui/options/" .. field.name
    for _, flag in ipairs(FLAGS) do
      if field[flag] ~= nil and type(field[flag]) ~= "boolean" then
        refuse("%s'%s' must be true or false", where, flag)
      end
      data[flag] = field[flag]
    end
    return
  end
  for _, key in ipairs { "async", "skip_load_on_open", "depends_on" } do
    if field[key] ~= nil then
      refuse("%s'%s' is for options that a function gives", where, key)
    end
  end
  data.options = check_static(field, where)
end

local function check_depends(fields, i, data, where)
  local field = fields[i]
  local n, names = list_len(field.depends_on), {}
  if n == nil or n == 0 then
    refuse("%s'depends_on' must be a list of names of fields, and not empty", where)
  end
  for k, name in ipairs(field.depends_on) do
    local there = false
    for j, other in ipairs(fields) do
      there = there or j ~= i and other.name == name
    end
    if not there then
      refuse("%s'depends_on' names '%s', which is no other field here", where, tostring(name))
    end
    names[k] = name
  end
  data.depends_on = json.array(names)
end

-- Two selects that wait for each other could never be filled in.
local function check_circles(fields, where)
  local by_name, state = {}, {}
  for _, field in ipairs(fields) do
    by_name[field.name] = field
  end
  local function visit(field)
    if state[field] == "open" then
      refuse("%sthe field '%s' depends on itself by way of others", where, field.name)
    end
    if state[field] then
      return
    end
    state[field] = "open"
    for _, name in ipairs(field.depends_on or {}) do
      visit(by_name[name])
    end
    state[field] = "done"
  end
  for _, field in ipairs(fields) do
    visit(field)
  end
end

local FIELD_KEYS = { "name", "label", "type", "required", "default", "options", "async", "depends_on",
  "skip_load_on_open" }
local DEFAULTS = { ["issue.title"] = true, ["issue.description"] = true }
local TYPES = { text = true, textarea = true, select = true }

local function check_field(field, where, whose, found)
  check_keys(field, where, FIELD_KEYS)
  check_text(field, "label", where)
  if not TYPES[field.type] then
    refuse("%s'type' must be 'text', 'textarea' or 'select', not %s", where,
      field.type == nil and "missing" or "'" .. tostring(field.type) .. "'")
  end
  if field.required ~= nil and type(field.required) ~= "boolean" then
    refuse("%s'required' must be true or false", where)
  end
  local data = { name = field.name, label = field.label, type = field.type, required = field.required or false }
  if field.type == "select" then
    check_select(field, where, data, whose, found)
    return data
  end
  for _, key in ipairs { "options", "async", "depends_on", "skip_load_on_open" } do
    if field[key] ~= nil then
      refuse("%s'%s' is for a select, not for a %s", where, key, field.type)
    end
  end
  if field.default ~= nil and not DEFAULTS[field.default] then
    refuse("%sSentry takes no other 'default' than 'issue.title' and 'issue.description'", where)
  end
  data.default = field.default
  return data
end

-- The fields of one form, as data.  ${found} gets the options functions.
local function check_fields(part, where, whose, found)
  local n, names, any, data = list_len(part.fields), {}, false, {}
  if n == nil then
    refuse("%s'fields' must be a list of fields", where)
  end
  for i, field in ipairs(part.fields) do
    local place = format("%sfields[%d]: ", where, i)
    if type(field) ~= "table" then
      refuse("%sa field must be a table, not a %s", place, type(field))
    end
    check_text(field, "name", place)
    place = format("%sfields[%d] (%s): ", where, i, field.name)
    if names[field.name] then
      refuse("%sthere is another field of that name", place)
    end
    names[field.name] = true
    data[i] = check_field(field, place, whose, found)
    any = any or data[i].required
  end
  for i, field in ipairs(part.fields) do
    if field.depends_on ~= nil then
      check_depends(part.fields, i, data[i], format("%sfields[%d] (%s): ", where, i, field.name))
    end
  end
  check_circles(part.fields, where)
  if not any then
    refuse("%sSentry wants at least one required field: required = true", where)
  end
  return json.array(data)
end

local function check_heading(spec)
  if spec.title ~= nil then
    check_text(spec, "title", "")
  end
  if spec.description == nil then
    return
  end
  check_text(spec, "description", "")
  local len = utf8_len(spec.description)
  if len == nil or len > DESCRIPTION_MAX then
    refuse("'description' has %s: Sentry takes 1 to %d", len and len .. " characters" or "bytes that are no UTF-8",
      DESCRIPTION_MAX)
  end
end

local check = {}

function check.alert_action(spec, found)
  check_keys(spec, "", { "title", "description", "fields", "validate", "fire" })
  check_text(spec, "title", "", ": it is what people choose in Sentry's list of actions")
  check_heading(spec)
  check_function(spec, "validate", "")
  check_function(spec, "fire", "")
  return {
    title = spec.title,
    description = spec.description,
    fields = check_fields(spec, "", "alert_action", found),
    fires = spec.fire ~= nil,
  }
end

function check.issue_link(spec, found)
  local data = { title = spec.title, description = spec.description }
  check_keys(spec, "", { "title", "description", "create", "link" })
  check_heading(spec)
  for _, name in ipairs { "create", "link" } do
    local part, where = spec[name], name .. ": "
    if type(part) ~= "table" then
      refuse("'%s' must be a table {fields =, run =}: Sentry wants both create and link", name)
    end
    check_keys(part, where, { "fields", "run" })
    check_function(part, "run", where, true)
    data[name] = { fields = check_fields(part, where, "issue_link." .. name, found) }
    -- The two forms of one component may share a function, but not a name.
    for field, list in pairs(found) do
      lists[field] = lists[field] or list
    end
  end
  return data
end

function check.stacktrace_link(spec)
  check_keys(spec, "", { "url" })
  check_function(spec, "url", "", true)
  return {}
end

local ui = {}

-- ui.declare(kind, spec): what is to be declared, as plain data; or nil and
-- what is wrong with it.
function ui.declare(kind, spec)
  local kept, found = {}, {}
  for name, list in pairs(lists) do
    kept[name] = list
  end
  if specs[kind] then
    return nil, "there is one already: an integration has one of each"
  end
  local ok, data = pcall(check[kind], spec, found)
  if not ok then
    lists = kept
    if type(data) == "table" and data.refused then
      return nil, data.refused
    end
    error(data, 0)
  end
  for name, list in pairs(found) do
    lists[name] = list
  end
  specs[kind] = spec
  data.kind = kind
  return data
end

-- ---- what Sentry asks -------------------------------------------------------

-- "Title and description are required"
local function required_message(names)
  local text = names[#names]
  if #names > 1 then
    text = concat(names, ", ", 1, #names - 1) .. " and " .. text
  end
  text = text:gsub("^%l", upper)
  return text .. (#names > 1 and " are required" or " is required")
end

local function is_missing(v)
  return v == nil or v == "" or type(v) == "table" and next(v) == nil
end

-- What was filled in as a plain name -> value table, from a list of {name =,
-- value =} or from an object; a null is left out.
local function plain(fields)
  local settings = {}
  if type(fields) ~= "table" then
    return settings
  end
  for key, item in pairs(fields) do
    local named = type(key) == "number" and type(item) == "table"
    if named and type(item.name) == "string" then
      item = { [item.name] = item.value }
    end
    for name, value in pairs(named and item or { [key] = item }) do
      if type(name) == "string" and value ~= json.null then
        settings[name] = value
      end
    end
  end
  return settings
end

local function refusal(status, message, otherwise)
  return { status = status, body = { message = message == nil and otherwise or tostring(message) } }
end

-- The settings that came with a request; or nil and the answer.
local function take_settings(fields, request)
  if request.fields ~= nil and type(request.fields) ~= "table" then
    return nil, refusal(400, "The fields are neither a list nor an object")
  end
  local settings, missing = plain(request.fields), {}
  for _, field in ipairs(fields) do
    if field.required and is_missing(settings[field.name]) then
      missing[#missing + 1] = field.name
    end
  end
  if #missing > 0 then
    return nil, refusal(400, required_message(missing))
  end
  return settings
end

local function answer_alert_action(request)
  local spec = specs.alert_action
  local settings, answer = take_settings(spec.fields, request)
  if settings == nil then
    return answer
  end
  if spec.validate == nil then
    return { status = 200, body = {} }
  end
  local function judge(...)
    local good, message = ...
    if not good then
      if select("#", ...) == 0 then
        log.warn("validate returned nothing: it returns true for settings that are good")
      end
      return refusal(400, message, "The settings were refused")
    end
    -- A text is shown to whoever saves the alert.
    return { status = 200, body = { message = type(good) == "string" and good or nil } }
  end
  return judge(spec.validate(settings, request))
end

local LINK_PARTS = { "webUrl", "project", "identifier" }

local function answer_issue_link(name, request)
  local part = specs.issue_link[name]
  local settings, answer = take_settings(part.fields, request)
  if settings == nil then
    return answer
  end
  local result, message = part.run(settings, request)
  if not result then
    return refusal(400, message, name == "create" and "The issue was not created" or "The issue was not linked")
  end
  local body = {}
  for _, key in ipairs(LINK_PARTS) do
    local value = type(result) == "table" and result[key] or nil
    if math_type(value) == "integer" then
      value = tostring(value)
    elseif type(value) == "number" then
      value = format("%.14g", value)
    end
    if not is_text(value) then
      error(format("issue_link.%s.run must return {webUrl =, project =, identifier =}: there is no %s", name, key), 0)
    end
    body[key] = value
  end
  return { status = 200, body = body }
end

local function dependent_data(text)
  if text == nil or text == "" then
    return {}
  end
  local data = json.decode(text)
  if type(data) ~= "table" then
    return nil
  end
  return plain(data)
end

local function is_scalar(v)
  return type(v) == "string" or type(v) == "number"
end

local function answer_options(name, request)
  local q = plain(request)
  q.query = q.query or ""
  q.dependentData = dependent_data(q.dependentData)
  if q.dependentData == nil then
    return refusal(400, "dependentData is no JSON object")
  end
  local result, message = lists[name].run(q)
  if not result then
    return refusal(400, message, "The options could not be loaded")
  end
  local n = list_len(result)
  if n == nil then
    error(format("the options function of '%s' must return a list of {value =, label =}", name), 0)
  end
  local body = {}
  for i = 1, n do
    local option = result[i]
    if type(option) ~= "table" or not is_scalar(option.value) or not is_scalar(option.label) then
      error(format("the options function of '%s' must return a list of {value =, label =}, both text or a number: see "
        .. "number %d", name, i), 0)
    end
    body[i] = { value = option.value, label = tostring(option.label), default = option.default and true or nil }
  end
  return { status = 200, body = json.array(body) }
end

local function answer_stacktrace_link(request)
  local q = plain(request)
  q.lineNo = tonumber(q.lineNo) or q.lineNo
  local url, message = specs.stacktrace_link.url(q)
  if not url then
    return refusal(404, message, "There is no link for this line")
  end
  if type(url) ~= "string" or not url:find("^https?://[^%s%c]+$") then
    error("stacktrace_link.url must return an http or https address", 0)
  end
  return { status = 302, location = url, body = {} }
end

-- ui.handle(route, request): what the script answers to a request of Sentry's:
-- {status =, body =, location =}.  ${request} is the decoded body, or the query
-- as a table.  An error of the script goes through.
function ui.handle(route, request)
  local name = route:match("^options/(.+)$")
  if name and lists[name] then
    return answer_options(name, request)
  end
  if route == "alert-rule-action" and specs.alert_action then
    return answer_alert_action(request)
  end
  name = route:match("^issue%-link/(%a+)$")
  if (name == "create" or name == "link") and specs.issue_link then
    return answer_issue_link(name, request)
  end
  if route == "stacktrace-link" and specs.stacktrace_link then
    return answer_stacktrace_link(request)
  end
  return refusal(404, "this integration has no such component")
end

-- ---- what an alert action's fire gets ---------------------------------------

-- The member at the end of a path through tables, or nil.
local function at(t, ...)
  for i = 1, select("#", ...) do
    if type(t) ~= "table" then
      return nil
    end
    t = t[(select(i, ...))]
  end
  if t == json.null then
    return nil
  end
  return t
end

-- The first of them that is text with something in it.
local function first_text(...)
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    if is_text(v) then
      return v
    end
  end
  return nil
end

-- The settings in the actions of one trigger that are ours, as far as the
-- payload says whose they are.
local function trigger_settings(trigger, installation)
  local actions = at(trigger, "actions")
  for _, action in ipairs(type(actions) == "table" and actions or {}) do
    local uuid = at(action, "sentry_app_installation_uuid")
    local settings = at(action, "settings")
    if at(action, "type") == "sentry_app" and settings and (uuid == nil or uuid == installation) then
      return settings
    end
  end
  return nil
end

local function metric_settings(event)
  local triggers = at(event, "data", "metric_alert", "alert_rule", "triggers")
  local ours = at(event, "installation", "uuid")
  triggers = type(triggers) == "table" and triggers or {}
  for _, trigger in ipairs(triggers) do
    if at(trigger, "label") == event.action then
      return trigger_settings(trigger, ours)
    end
  end
  -- "resolved" and "open" are nobody's label: the rule's settings all the same.
  for _, trigger in ipairs(triggers) do
    local settings = trigger_settings(trigger, ours)
    if settings then
      return settings
    end
  end
  return nil
end

-- The slug of the project in ".../projects/ORG/SLUG/...".
local function slug_of(url)
  return type(url) == "string" and url:match("/projects/[^/]+/([^/]+)/") or nil
end

local view = {}

function view.event_alert(event)
  local error_event = at(event, "data", "event")
  local project = at(error_event, "project")
  return {
    title = first_text(at(event, "data", "issue_alert", "title"), at(event, "data", "triggered_rule"),
      at(error_event, "title"), at(error_event, "message")),
    url = first_text(at(error_event, "web_url"), at(error_event, "issue_url"), at(error_event, "url")),
    level = at(error_event, "level"),
    state = "triggered",
    project = first_text(at(error_event, "project_slug"), slug_of(at(error_event, "url")),
      project ~= nil and tostring(project) or nil),
  }, at(event, "data", "issue_alert", "settings")
end

local METRIC_LEVELS = { critical = "critical", warning = "warning", resolved = "info" }

function view.metric_alert(event)
  local metric = at(event, "data", "metric_alert")
  return {
    title = first_text(at(metric, "alert_rule", "name"), at(metric, "title"),
      at(event, "data", "description_title")),
    url = first_text(at(event, "data", "web_url")),
    level = METRIC_LEVELS[event.action] or "error",
    state = event.action,
    project = first_text(at(metric, "projects", 1), at(metric, "alert_rule", "projects", 1)),
  }, metric_settings(event)
end

function view.activity_alert(event)
  local issue, kind = at(event, "data", "issue"), at(event, "data", "activity", "type")
  local resolved = type(kind) == "string" and kind:find("^status_resolved") ~= nil
  return {
    title = first_text(at(event, "data", "alert", "title"), at(issue, "title")),
    url = first_text(at(issue, "web_url"), at(issue, "permalink"), at(event, "data", "alert", "web_url"),
      at(issue, "url")),
    level = at(issue, "level"),
    state = resolved and "resolved" or "triggered",
    project = first_text(at(issue, "project", "slug")),
  }, at(event, "data", "alert", "settings")
end

-- ui.fire(event): call the alert action's fire(settings, alert, event).
function ui.fire(event)
  local alert, settings = (view[event.resource] or view.event_alert)(event)
  alert.resource = event.resource
  alert.settings_missing = settings == nil
  return specs.alert_action.fire(plain(settings), alert, event)
end

return ui
