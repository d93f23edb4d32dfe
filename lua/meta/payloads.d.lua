---@meta
-- What Sentry sends, and the handlers that get it. Types for
-- lua-language-server, never loaded at run time. Made by `moonpost types` from the
-- catalogue: a field with a question mark need not be there, and Sentry may send
-- more than it has written down.

---Called for `activity_alert`.
---@type fun(event: moonpost.event.activity_alert)
on_activity_alert = nil

---Called for `activity_alert`, `event_alert`, `metric_alert`.
---@type fun(event: moonpost.event.activity_alert|moonpost.event.event_alert|moonpost.event.metric_alert)
on_alert = nil

---Called for what no other handler of the script is for.
---@type fun(event: event)
on_event = nil

---Called for `event_alert`.
---@type fun(event: moonpost.event.event_alert)
on_event_alert = nil

---Called for `event_alert`, `error`.
---@type fun(event: moonpost.event.event_alert|moonpost.event.error)
on_error = nil

---Called for `metric_alert`.
---@type fun(event: moonpost.event.metric_alert)
on_metric_alert = nil

---Called for `comment`.
---@type fun(event: moonpost.event.comment)
on_comment = nil

---Called for `installation`.
---@type fun(event: moonpost.event.installation)
on_installation = nil

---Called for `installation`.
---@type fun(event: moonpost.event.installation)
on_install = nil

---Called for `issue`.
---@type fun(event: moonpost.event.issue)
on_issue = nil

---Called for `preprod_artifact`.
---@type fun(event: moonpost.event.preprod_artifact)
on_preprod_artifact = nil

---Called for `seer`.
---@type fun(event: moonpost.event.seer)
on_seer = nil

---Something happened to an issue that an alert rule watches
---@class moonpost.event.activity_alert: event
---@field action "triggered"
---@field actor? moonpost.activity_alert.actor Who did it; Sentry itself is the application `sentry`
---@field data moonpost.activity_alert.data
---@field installation moonpost.activity_alert.installation
---@field payload moonpost.activity_alert

---@class moonpost.activity_alert
---@field action "triggered"
---@field actor? moonpost.activity_alert.actor Who did it; Sentry itself is the application `sentry`
---@field data moonpost.activity_alert.data
---@field installation moonpost.activity_alert.installation

---Who did it; Sentry itself is the application `sentry`
---@class moonpost.activity_alert.actor
---@field id? string|integer A number for a user, text for an application
---@field name? string|json.null
---@field type? "user"|"application"

---@class moonpost.activity_alert.data
---@field activity? moonpost.activity_alert.data.activity
---@field alert? moonpost.activity_alert.data.alert
---@field issue? moonpost.activity_alert.data.issue

---@class moonpost.activity_alert.data.activity
---@field details? moonpost.activity_alert.data.activity.details|json.null
---@field type? string

---@class moonpost.activity_alert.data.activity.details
---@field summary? string

---@class moonpost.activity_alert.data.alert
---@field id? string|integer
---@field sentry_app_id? integer|json.null
---@field settings? moonpost.activity_alert.data.alert.settings[]|json.null What the person who made the rule filled into the integration's form
---@field title? string|json.null
---@field url? string|json.null
---@field web_url? string|json.null

---@class moonpost.activity_alert.data.alert.settings
---@field label? string|json.null
---@field name? string
---@field value? string

---@class moonpost.activity_alert.data.issue
---@field annotations? any[]|json.null
---@field assignedTo? moonpost.activity_alert.data.issue.assignedTo|json.null
---@field count? string|integer
---@field culprit? string|json.null
---@field firstSeen? string|json.null
---@field hasSeen? boolean|json.null
---@field id? string|integer
---@field isBookmarked? boolean|json.null
---@field isPublic? boolean|json.null
---@field isSubscribed? boolean|json.null
---@field isUnhandled? boolean|json.null
---@field issueCategory? string|json.null
---@field issueType? string|json.null
---@field lastSeen? string|json.null
---@field level? "fatal"|"error"|"warning"|"info"|"debug"|"sample"
---@field logger? string|json.null
---@field metadata? moonpost.activity_alert.data.issue.metadata|json.null
---@field numComments? integer|json.null
---@field permalink? string|json.null
---@field platform? string|json.null
---@field priority? string|json.null
---@field priorityLockedAt? string|json.null
---@field project? moonpost.activity_alert.data.issue.project
---@field project_url? string|json.null
---@field seerAutofixLastTriggered? string|json.null
---@field seerExplorerAutofixLastTriggered? string|json.null
---@field seerFixabilityScore? number|json.null
---@field shareId? string|json.null
---@field shortId? string|json.null
---@field status? "resolved"|"unresolved"|"ignored"
---@field statusDetails? table<string, any>|json.null
---@field subscriptionDetails? table<string, any>|json.null
---@field substatus? string|json.null
---@field title? string
---@field type? string|json.null
---@field url? string|json.null
---@field userCount? integer
---@field web_url? string|json.null

---@class moonpost.activity_alert.data.issue.assignedTo
---@field email? string|json.null
---@field id? string|integer
---@field name? string|json.null
---@field type? string

---@class moonpost.activity_alert.data.issue.metadata
---@field filename? string
---@field ["function"]? string
---@field in_app_frame_mix? string
---@field initial_priority? integer
---@field sdk? moonpost.activity_alert.data.issue.metadata.sdk
---@field type? string
---@field value? string

---@class moonpost.activity_alert.data.issue.metadata.sdk
---@field name? string
---@field name_normalized? string

---@class moonpost.activity_alert.data.issue.project
---@field id? string|integer
---@field name? string|json.null
---@field platform? string|json.null
---@field slug? string

---@class moonpost.activity_alert.installation
---@field uuid string

---An issue alert rule that names the integration was triggered
---@class moonpost.event.event_alert: event
---@field action? "triggered"
---@field actor? moonpost.event_alert.actor Who did it; Sentry itself is the application `sentry`
---@field data? moonpost.event_alert.data
---@field installation? moonpost.event_alert.installation
---@field error? moonpost.event_alert.data.event
---@field payload moonpost.event_alert

---@class moonpost.event_alert
---@field action? "triggered"
---@field actor? moonpost.event_alert.actor Who did it; Sentry itself is the application `sentry`
---@field data? moonpost.event_alert.data
---@field installation? moonpost.event_alert.installation

---Who did it; Sentry itself is the application `sentry`
---@class moonpost.event_alert.actor
---@field id? string|integer A number for a user, text for an application
---@field name? string|json.null
---@field type? "user"|"application"

---@class moonpost.event_alert.data
---@field event? moonpost.event_alert.data.event
---@field issue_alert? moonpost.event_alert.data.issue_alert|json.null Where the rule's action has settings of the integration
---@field triggered_rule? string|json.null

---@class moonpost.event_alert.data.event
---@field _metrics? moonpost.event_alert.data.event._metrics
---@field _ref? integer
---@field _ref_version? integer
---@field breadcrumbs? moonpost.event_alert.data.event.breadcrumbs|json.null
---@field contexts? moonpost.event_alert.data.event.contexts|json.null
---@field culprit? string|json.null
---@field datetime? string
---@field dist? string|json.null
---@field environment? string|json.null
---@field event_id? string
---@field exception? moonpost.event_alert.data.event.exception|json.null
---@field fingerprint? string[]|json.null
---@field grouping_config? moonpost.event_alert.data.event.grouping_config
---@field hashes? string[]|json.null
---@field id? string
---@field issue_id? string|integer|json.null
---@field issue_url? string|json.null
---@field key_id? string|integer|json.null
---@field level? "fatal"|"error"|"warning"|"info"|"debug"|"sample"
---@field location? string|json.null
---@field logentry? table<string, any>|json.null
---@field logger? string|json.null
---@field message? string|json.null
---@field metadata? moonpost.event_alert.data.event.metadata|json.null
---@field nodestore_insert? number|json.null
---@field occurrence? table<string, any>|json.null Of issues that are no errors
---@field platform? string|json.null
---@field project? string|integer
---@field received? number|json.null
---@field release? string|json.null
---@field request? moonpost.event_alert.data.event.request|json.null
---@field sdk? moonpost.event_alert.data.event.sdk|json.null
---@field tags? ((string|json.null)[])[]|json.null
---@field time_spent? number|json.null
---@field timestamp? string|number Seconds since 1970
---@field title? string|json.null
---@field type? string|json.null
---@field url? string|json.null
---@field user? moonpost.event_alert.data.event.user|json.null
---@field version? string|json.null
---@field web_url? string|json.null

---@class moonpost.event_alert.data.event._metrics
---@field ["bytes.stored.event"]? integer

---@class moonpost.event_alert.data.event.breadcrumbs
---@field values? moonpost.event_alert.data.event.breadcrumbs.values[]

---@class moonpost.event_alert.data.event.breadcrumbs.values
---@field category? string
---@field level? string
---@field message? string
---@field timestamp? number
---@field type? string

---@class moonpost.event_alert.data.event.contexts
---@field browser? moonpost.event_alert.data.event.contexts.browser
---@field runtime? moonpost.event_alert.data.event.contexts.runtime
---@field trace? moonpost.event_alert.data.event.contexts.trace

---@class moonpost.event_alert.data.event.contexts.browser
---@field name? string
---@field type? string
---@field version? string

---@class moonpost.event_alert.data.event.contexts.runtime
---@field name? string
---@field type? string
---@field version? string

---@class moonpost.event_alert.data.event.contexts.trace
---@field op? string
---@field span_id? string
---@field status? string
---@field trace_id? string
---@field type? string

---@class moonpost.event_alert.data.event.exception
---@field values? moonpost.event_alert.data.event.exception.values[]

---@class moonpost.event_alert.data.event.exception.values
---@field mechanism? moonpost.event_alert.data.event.exception.values.mechanism
---@field stacktrace? moonpost.event_alert.data.event.exception.values.stacktrace
---@field type? string
---@field value? string

---@class moonpost.event_alert.data.event.exception.values.mechanism
---@field handled? boolean
---@field type? string

---@class moonpost.event_alert.data.event.exception.values.stacktrace
---@field frames? moonpost.event_alert.data.event.exception.values.stacktrace.frames[]

---@class moonpost.event_alert.data.event.exception.values.stacktrace.frames
---@field abs_path? string
---@field colno? any
---@field context_line? string
---@field data? moonpost.event_alert.data.event.exception.values.stacktrace.frames.data
---@field filename? string
---@field ["function"]? string
---@field in_app? boolean
---@field lineno? integer
---@field module? string
---@field post_context? string[]
---@field pre_context? string[]
---@field vars? moonpost.event_alert.data.event.exception.values.stacktrace.frames.vars

---@class moonpost.event_alert.data.event.exception.values.stacktrace.frames.data
---@field orig_in_app? integer

---@class moonpost.event_alert.data.event.exception.values.stacktrace.frames.vars
---@field body? moonpost.event_alert.data.event.exception.values.stacktrace.frames.vars.body

---@class moonpost.event_alert.data.event.exception.values.stacktrace.frames.vars.body
---@field vessel? string

---@class moonpost.event_alert.data.event.grouping_config
---@field enhancements? string
---@field id? string

---@class moonpost.event_alert.data.event.metadata
---@field filename? string
---@field ["function"]? string
---@field in_app_frame_mix? string
---@field initial_priority? integer
---@field sdk? moonpost.event_alert.data.event.metadata.sdk
---@field type? string
---@field value? string

---@class moonpost.event_alert.data.event.metadata.sdk
---@field name? string
---@field name_normalized? string

---@class moonpost.event_alert.data.event.request
---@field cookies? any
---@field data? moonpost.event_alert.data.event.request.data
---@field headers? string[][]
---@field inferred_content_type? string
---@field method? string
---@field query_string? any[]
---@field url? string

---@class moonpost.event_alert.data.event.request.data
---@field vessel? string

---@class moonpost.event_alert.data.event.sdk
---@field integrations? string[]
---@field name? string
---@field packages? moonpost.event_alert.data.event.sdk.packages[]
---@field version? string

---@class moonpost.event_alert.data.event.sdk.packages
---@field name? string
---@field version? string

---@class moonpost.event_alert.data.event.user
---@field id? string
---@field ip_address? string
---@field username? string

---Where the rule's action has settings of the integration
---@class moonpost.event_alert.data.issue_alert
---@field id? string|integer|json.null
---@field sentry_app_id? integer|json.null
---@field settings? moonpost.event_alert.data.issue_alert.settings[]|json.null What the person who made the rule filled into the integration's form
---@field title? string|json.null

---@class moonpost.event_alert.data.issue_alert.settings
---@field label? string|json.null
---@field name? string
---@field value? string

---@class moonpost.event_alert.installation
---@field uuid string

---A metric alert opens, becomes a warning or critical, or is resolved
---@class moonpost.event.metric_alert: event
---@field action? "open"|"critical"|"warning"|"resolved"
---@field actor? moonpost.metric_alert.actor Who did it; Sentry itself is the application `sentry`
---@field data? moonpost.metric_alert.data
---@field installation? moonpost.metric_alert.installation
---@field payload moonpost.metric_alert

---@class moonpost.metric_alert
---@field action? "open"|"critical"|"warning"|"resolved"
---@field actor? moonpost.metric_alert.actor Who did it; Sentry itself is the application `sentry`
---@field data? moonpost.metric_alert.data
---@field installation? moonpost.metric_alert.installation

---Who did it; Sentry itself is the application `sentry`
---@class moonpost.metric_alert.actor
---@field id? string|integer A number for a user, text for an application
---@field name? string|json.null
---@field type? "user"|"application"

---@class moonpost.metric_alert.data
---@field description_text? string|json.null
---@field description_title? string|json.null
---@field metric_alert? moonpost.metric_alert.data.metric_alert
---@field web_url? string|json.null

---@class moonpost.metric_alert.data.metric_alert
---@field activities? any[]|json.null
---@field alert_rule? moonpost.metric_alert.data.metric_alert.alert_rule
---@field date_closed? string|json.null
---@field date_created? string|json.null
---@field date_detected? string|json.null
---@field date_started? string|json.null
---@field id? string|integer
---@field identifier? string|integer|json.null
---@field organization_id? string|integer
---@field projects? string[]|json.null
---@field status? string|integer A number; 2 closed, 10 warning, 20 critical
---@field status_method? integer|json.null
---@field title? string|json.null
---@field type? string|integer

---@class moonpost.metric_alert.data.metric_alert.alert_rule
---@field aggregate? string|json.null
---@field comparison_delta? any
---@field created_by? moonpost.metric_alert.data.metric_alert.alert_rule.created_by|json.null
---@field dataset? string|json.null
---@field date_created? string
---@field date_modified? string
---@field description? any
---@field detection_type? string
---@field environment? string|json.null
---@field id? string|integer
---@field name? string
---@field organization_id? string|integer
---@field original_alert_rule_id? any
---@field owner? string|integer|json.null
---@field projects? string[]
---@field query? string|json.null
---@field query_type? integer
---@field resolution? number|json.null
---@field resolve_threshold? number|json.null
---@field seasonality? any
---@field sensitivity? any
---@field status? integer
---@field threshold_period? integer|json.null
---@field threshold_type? integer|json.null
---@field time_window? number|json.null
---@field triggers? moonpost.metric_alert.data.metric_alert.alert_rule.triggers[]|json.null

---@class moonpost.metric_alert.data.metric_alert.alert_rule.created_by
---@field email? string
---@field id? integer
---@field name? string

---@class moonpost.metric_alert.data.metric_alert.alert_rule.triggers
---@field actions? moonpost.metric_alert.data.metric_alert.alert_rule.triggers.actions[]|json.null
---@field alert_rule_id? string
---@field alert_threshold? number|json.null
---@field date_created? string
---@field id? string
---@field label? string|json.null
---@field resolve_threshold? number|json.null
---@field threshold_type? integer

---@class moonpost.metric_alert.data.metric_alert.alert_rule.triggers.actions
---@field alert_rule_trigger_id? string
---@field date_created? string
---@field desc? string
---@field id? string
---@field input_channel_id? any
---@field integration_id? any
---@field priority? string
---@field sentry_app_id? integer|json.null
---@field settings? moonpost.metric_alert.data.metric_alert.alert_rule.triggers.actions.settings[]|json.null What the person who made the rule filled into the integration's form
---@field target_identifier? integer
---@field target_type? string
---@field type? string

---@class moonpost.metric_alert.data.metric_alert.alert_rule.triggers.actions.settings
---@field label? string|json.null
---@field name? string
---@field value? string

---@class moonpost.metric_alert.installation
---@field uuid string

---A comment on an issue is written, edited or deleted
---@class moonpost.event.comment: event
---@field action? "created"|"updated"|"deleted"
---@field actor? moonpost.comment.actor Who did it; Sentry itself is the application `sentry`
---@field data? moonpost.comment.data
---@field installation? moonpost.comment.installation
---@field payload moonpost.comment

---@class moonpost.comment
---@field action? "created"|"updated"|"deleted"
---@field actor? moonpost.comment.actor Who did it; Sentry itself is the application `sentry`
---@field data? moonpost.comment.data
---@field installation? moonpost.comment.installation

---Who did it; Sentry itself is the application `sentry`
---@class moonpost.comment.actor
---@field id? string|integer A number for a user, text for an application
---@field name? string|json.null
---@field type? "user"|"application"

---@class moonpost.comment.data
---@field comment? moonpost.comment.data.comment|string|json.null
---@field comment_id? integer|json.null
---@field issue_id? string|integer|json.null
---@field project_slug? string|json.null
---@field timestamp? string|json.null

---@class moonpost.comment.data.comment
---@field id? integer
---@field issue_id? string
---@field text? string
---@field timestamp? string

---@class moonpost.comment.installation
---@field uuid string

---An error event came in
---@class moonpost.event.error: event
---@field action "created"
---@field actor? moonpost.error.actor Who did it; Sentry itself is the application `sentry`
---@field data moonpost.error.data
---@field installation moonpost.error.installation
---@field error? moonpost.error.data.error
---@field payload moonpost.error

---@class moonpost.error
---@field action "created"
---@field actor? moonpost.error.actor Who did it; Sentry itself is the application `sentry`
---@field data moonpost.error.data
---@field installation moonpost.error.installation

---Who did it; Sentry itself is the application `sentry`
---@class moonpost.error.actor
---@field id? string|integer A number for a user, text for an application
---@field name? string|json.null
---@field type? "user"|"application"

---@class moonpost.error.data
---@field error? moonpost.error.data.error

---@class moonpost.error.data.error
---@field _metrics? moonpost.error.data.error._metrics
---@field _ref? integer
---@field _ref_version? integer
---@field breadcrumbs? moonpost.error.data.error.breadcrumbs|json.null
---@field contexts? moonpost.error.data.error.contexts|json.null
---@field culprit? string|json.null
---@field datetime? string
---@field dist? string|json.null
---@field environment? string|json.null
---@field event_id? string
---@field exception? moonpost.error.data.error.exception|json.null
---@field fingerprint? string[]|json.null
---@field grouping_config? moonpost.error.data.error.grouping_config
---@field hashes? string[]|json.null
---@field issue_id? string|integer|json.null
---@field issue_url? string|json.null
---@field key_id? string|integer|json.null
---@field level? "fatal"|"error"|"warning"|"info"|"debug"|"sample"
---@field location? string|json.null
---@field logentry? table<string, any>|json.null
---@field logger? string|json.null
---@field message? string|json.null
---@field metadata? moonpost.error.data.error.metadata|json.null
---@field nodestore_insert? number|json.null
---@field occurrence? table<string, any>|json.null Of issues that are no errors
---@field platform? string|json.null
---@field project? integer
---@field received? number|json.null
---@field release? string|json.null
---@field request? moonpost.error.data.error.request|json.null
---@field sdk? moonpost.error.data.error.sdk|json.null
---@field tags? ((string|json.null)[])[]|json.null
---@field time_spent? number|json.null
---@field timestamp? number Seconds since 1970
---@field title? string|json.null
---@field type? string|json.null
---@field url? string|json.null
---@field user? moonpost.error.data.error.user|json.null
---@field version? string|json.null
---@field web_url? string|json.null

---@class moonpost.error.data.error._metrics
---@field ["bytes.stored.event"]? integer

---@class moonpost.error.data.error.breadcrumbs
---@field values? moonpost.error.data.error.breadcrumbs.values[]

---@class moonpost.error.data.error.breadcrumbs.values
---@field category? string
---@field level? string
---@field message? string
---@field timestamp? number
---@field type? string

---@class moonpost.error.data.error.contexts
---@field browser? moonpost.error.data.error.contexts.browser
---@field runtime? moonpost.error.data.error.contexts.runtime
---@field trace? moonpost.error.data.error.contexts.trace

---@class moonpost.error.data.error.contexts.browser
---@field name? string
---@field type? string
---@field version? string

---@class moonpost.error.data.error.contexts.runtime
---@field name? string
---@field type? string
---@field version? string

---@class moonpost.error.data.error.contexts.trace
---@field op? string
---@field span_id? string
---@field status? string
---@field trace_id? string
---@field type? string

---@class moonpost.error.data.error.exception
---@field values? moonpost.error.data.error.exception.values[]

---@class moonpost.error.data.error.exception.values
---@field mechanism? moonpost.error.data.error.exception.values.mechanism
---@field stacktrace? moonpost.error.data.error.exception.values.stacktrace
---@field type? string
---@field value? string

---@class moonpost.error.data.error.exception.values.mechanism
---@field handled? boolean
---@field type? string

---@class moonpost.error.data.error.exception.values.stacktrace
---@field frames? moonpost.error.data.error.exception.values.stacktrace.frames[]

---@class moonpost.error.data.error.exception.values.stacktrace.frames
---@field abs_path? string
---@field colno? any
---@field context_line? string
---@field data? moonpost.error.data.error.exception.values.stacktrace.frames.data
---@field filename? string
---@field ["function"]? string
---@field in_app? boolean
---@field lineno? integer
---@field module? string
---@field post_context? string[]
---@field pre_context? string[]
---@field vars? moonpost.error.data.error.exception.values.stacktrace.frames.vars

---@class moonpost.error.data.error.exception.values.stacktrace.frames.data
---@field orig_in_app? integer

---@class moonpost.error.data.error.exception.values.stacktrace.frames.vars
---@field body? moonpost.error.data.error.exception.values.stacktrace.frames.vars.body

---@class moonpost.error.data.error.exception.values.stacktrace.frames.vars.body
---@field vessel? string

---@class moonpost.error.data.error.grouping_config
---@field enhancements? string
---@field id? string

---@class moonpost.error.data.error.metadata
---@field filename? string
---@field ["function"]? string
---@field in_app_frame_mix? string
---@field initial_priority? integer
---@field sdk? moonpost.error.data.error.metadata.sdk
---@field type? string
---@field value? string

---@class moonpost.error.data.error.metadata.sdk
---@field name? string
---@field name_normalized? string

---@class moonpost.error.data.error.request
---@field cookies? any
---@field data? moonpost.error.data.error.request.data
---@field headers? string[][]
---@field inferred_content_type? string
---@field method? string
---@field query_string? any[]
---@field url? string

---@class moonpost.error.data.error.request.data
---@field vessel? string

---@class moonpost.error.data.error.sdk
---@field integrations? string[]
---@field name? string
---@field packages? moonpost.error.data.error.sdk.packages[]
---@field version? string

---@class moonpost.error.data.error.sdk.packages
---@field name? string
---@field version? string

---@class moonpost.error.data.error.user
---@field id? string
---@field ip_address? string
---@field username? string

---@class moonpost.error.installation
---@field uuid string

---An organization installs or uninstalls the integration
---@class moonpost.event.installation: event
---@field action? "created"|"deleted"
---@field actor? moonpost.installation.actor Who did it; Sentry itself is the application `sentry`
---@field data? moonpost.installation.data
---@field installation? moonpost.installation.installation
---@field payload moonpost.installation

---@class moonpost.installation
---@field action? "created"|"deleted"
---@field actor? moonpost.installation.actor Who did it; Sentry itself is the application `sentry`
---@field data? moonpost.installation.data
---@field installation? moonpost.installation.installation

---Who did it; Sentry itself is the application `sentry`
---@class moonpost.installation.actor
---@field id? string|integer A number for a user, text for an application
---@field name? string|json.null
---@field type? "user"|"application"

---@class moonpost.installation.data
---@field installation? moonpost.installation.data.installation

---@class moonpost.installation.data.installation
---@field app? moonpost.installation.data.installation.app
---@field code? string|json.null The grant to exchange for tokens, for ten minutes; not sent once it is used
---@field organization? moonpost.installation.data.installation.organization
---@field status? any With `created` pending or installed; with `deleted` it may be anything
---@field uuid? string

---@class moonpost.installation.data.installation.app
---@field sentryAppId? integer|json.null
---@field slug? string
---@field uuid? string

---@class moonpost.installation.data.installation.organization
---@field id? string|integer
---@field name? string
---@field slug? string

---@class moonpost.installation.installation
---@field uuid string

---An issue is created, assigned, resolved, ignored or comes back
---@class moonpost.event.issue: event
---@field action "created"|"resolved"|"assigned"|"archived"|"unresolved"|"ignored"
---@field actor? moonpost.issue.actor Who did it; Sentry itself is the application `sentry`
---@field data moonpost.issue.data
---@field installation moonpost.issue.installation
---@field payload moonpost.issue

---@class moonpost.issue
---@field action "created"|"resolved"|"assigned"|"archived"|"unresolved"|"ignored"
---@field actor? moonpost.issue.actor Who did it; Sentry itself is the application `sentry`
---@field data moonpost.issue.data
---@field installation moonpost.issue.installation

---Who did it; Sentry itself is the application `sentry`
---@class moonpost.issue.actor
---@field id? string|integer A number for a user, text for an application
---@field name? string|json.null
---@field type? "user"|"application"

---@class moonpost.issue.data
---@field assignee? moonpost.issue.data.assignee|json.null With `assigned`
---@field issue? moonpost.issue.data.issue
---@field resolution_type? string|json.null With `resolved`

---With `assigned`
---@class moonpost.issue.data.assignee
---@field email? string|json.null
---@field id? string|integer
---@field name? string|json.null
---@field type? string

---@class moonpost.issue.data.issue
---@field annotations? any[]|json.null
---@field assignedTo? moonpost.issue.data.issue.assignedTo|json.null
---@field count? string|integer
---@field culprit? string|json.null
---@field firstSeen? string|json.null
---@field hasSeen? boolean|json.null
---@field id? string|integer
---@field isBookmarked? boolean|json.null
---@field isPublic? boolean|json.null
---@field isSubscribed? boolean|json.null
---@field isUnhandled? boolean|json.null
---@field issueCategory? string|json.null
---@field issueType? string|json.null
---@field lastSeen? string|json.null
---@field level? "fatal"|"error"|"warning"|"info"|"debug"|"sample"
---@field logger? string|json.null
---@field metadata? moonpost.issue.data.issue.metadata|json.null
---@field numComments? integer|json.null
---@field permalink? string|json.null
---@field platform? string|json.null
---@field priority? string|json.null
---@field priorityLockedAt? string|json.null
---@field project? moonpost.issue.data.issue.project
---@field project_url? string|json.null
---@field seerAutofixLastTriggered? string|json.null
---@field seerExplorerAutofixLastTriggered? string|json.null
---@field seerFixabilityScore? number|json.null
---@field shareId? string|json.null
---@field shortId? string|json.null
---@field status? "resolved"|"unresolved"|"ignored"
---@field statusDetails? moonpost.issue.data.issue.statusDetails|json.null
---@field subscriptionDetails? table<string, any>|json.null
---@field substatus? string|json.null
---@field title? string
---@field type? string|json.null
---@field url? string|json.null
---@field userCount? integer
---@field web_url? string|json.null

---@class moonpost.issue.data.issue.assignedTo
---@field email? string|json.null
---@field id? string|integer
---@field name? string|json.null
---@field type? string

---@class moonpost.issue.data.issue.metadata
---@field filename? string
---@field ["function"]? string
---@field in_app_frame_mix? string
---@field initial_priority? integer
---@field sdk? moonpost.issue.data.issue.metadata.sdk
---@field type? string
---@field value? string

---@class moonpost.issue.data.issue.metadata.sdk
---@field name? string
---@field name_normalized? string

---@class moonpost.issue.data.issue.project
---@field id? string|integer
---@field name? string|json.null
---@field platform? string|json.null
---@field slug? string

---@class moonpost.issue.data.issue.statusDetails
---@field ignoreCount? integer
---@field ignoreUntil? any
---@field ignoreUserCount? any
---@field ignoreWindow? any

---@class moonpost.issue.installation
---@field uuid? string

---A build was measured or is ready to be installed
---@class moonpost.event.preprod_artifact: event
---@field action "size_analysis_completed"|"build_distribution_completed"
---@field actor? moonpost.preprod_artifact.actor Who did it; Sentry itself is the application `sentry`
---@field data moonpost.preprod_artifact.data
---@field installation moonpost.preprod_artifact.installation
---@field payload moonpost.preprod_artifact

---@class moonpost.preprod_artifact
---@field action "size_analysis_completed"|"build_distribution_completed"
---@field actor? moonpost.preprod_artifact.actor Who did it; Sentry itself is the application `sentry`
---@field data moonpost.preprod_artifact.data
---@field installation moonpost.preprod_artifact.installation

---Who did it; Sentry itself is the application `sentry`
---@class moonpost.preprod_artifact.actor
---@field id? string|integer A number for a user, text for an application
---@field name? string|json.null
---@field type? "user"|"application"

---@class moonpost.preprod_artifact.data
---@field analysisDuration? number|json.null
---@field analysisVersion? string
---@field appInfo? moonpost.preprod_artifact.data.appInfo|json.null
---@field baseAppInfo? moonpost.preprod_artifact.data.baseAppInfo|json.null
---@field baseBuildId? string
---@field buildConfiguration? string
---@field buildId? string|integer
---@field codesigningType? any
---@field comparisons? moonpost.preprod_artifact.data.comparisons[]|json.null
---@field downloadSize? number|json.null
---@field errorCode? any
---@field errorMessage? any
---@field gitInfo? moonpost.preprod_artifact.data.gitInfo|json.null
---@field installSize? number|json.null
---@field installUrl? string|json.null
---@field isCodeSignatureValid? any
---@field isInstallable? boolean|json.null
---@field organizationSlug? string|json.null
---@field platform? string|json.null
---@field profileName? any
---@field projectId? string|integer|json.null
---@field projectSlug? string|json.null
---@field state? string|json.null

---@class moonpost.preprod_artifact.data.appInfo
---@field appId? string
---@field artifactType? string
---@field buildNumber? integer
---@field dateAdded? string
---@field dateBuilt? string
---@field name? string
---@field version? string

---@class moonpost.preprod_artifact.data.baseAppInfo
---@field appId? string
---@field artifactType? string
---@field buildNumber? integer
---@field dateAdded? string
---@field dateBuilt? any
---@field name? string
---@field version? string

---@class moonpost.preprod_artifact.data.comparisons
---@field errorCode? any
---@field errorMessage? any
---@field identifier? any
---@field metricsArtifactType? string
---@field sizeMetricDiff? moonpost.preprod_artifact.data.comparisons.sizeMetricDiff
---@field state? string

---@class moonpost.preprod_artifact.data.comparisons.sizeMetricDiff
---@field baseDownloadSize? integer
---@field baseInstallSize? integer
---@field headDownloadSize? integer
---@field headInstallSize? integer
---@field identifier? any
---@field metricsArtifactType? string

---@class moonpost.preprod_artifact.data.gitInfo
---@field baseRef? string
---@field baseRepoName? string
---@field baseSha? string
---@field headRef? string
---@field headRepoName? string
---@field headSha? string
---@field prNumber? integer
---@field provider? string

---@class moonpost.preprod_artifact.installation
---@field uuid string

---Seer looks for the root cause of an issue, plans a solution, writes code
---@class moonpost.event.seer: event
---@field action string
---@field actor? moonpost.seer.actor Who did it; Sentry itself is the application `sentry`
---@field data moonpost.seer.data Whatever Seer has at the time
---@field installation moonpost.seer.installation
---@field payload moonpost.seer

---@class moonpost.seer
---@field action string
---@field actor? moonpost.seer.actor Who did it; Sentry itself is the application `sentry`
---@field data moonpost.seer.data Whatever Seer has at the time
---@field installation moonpost.seer.installation

---Who did it; Sentry itself is the application `sentry`
---@class moonpost.seer.actor
---@field id? string|integer A number for a user, text for an application
---@field name? string|json.null
---@field type? "user"|"application"

---Whatever Seer has at the time
---@class moonpost.seer.data
---@field code_changes? moonpost.seer.data.code_changes|any[]|json.null
---@field group_id? integer
---@field iteration_index? integer|json.null
---@field pull_requests? moonpost.seer.data.pull_requests[]|json.null
---@field root_cause? moonpost.seer.data.root_cause|any[]|json.null
---@field run_id? integer|json.null
---@field sentry_run_id? string|json.null
---@field solution? moonpost.seer.data.solution|any[]|json.null

---@class moonpost.seer.data.code_changes
---@field ["lighthouse/harbour"]? moonpost.seer.data.code_changes.lighthouse_harbour[]

---@class moonpost.seer.data.code_changes.lighthouse_harbour
---@field added? integer
---@field diff? string
---@field path? string
---@field removed? integer
---@field type? string

---@class moonpost.seer.data.pull_requests
---@field provider? string
---@field pull_request? moonpost.seer.data.pull_requests.pull_request
---@field repo_name? string

---@class moonpost.seer.data.pull_requests.pull_request
---@field pr_id? integer
---@field pr_number? integer
---@field pr_url? string

---@class moonpost.seer.data.root_cause
---@field five_whys? string[]
---@field one_line_description? string
---@field relevant_repo? string
---@field reproduction_steps? string[]

---@class moonpost.seer.data.solution
---@field one_line_summary? string
---@field steps? moonpost.seer.data.solution.steps[]

---@class moonpost.seer.data.solution.steps
---@field description? string
---@field title? string

---@class moonpost.seer.installation
---@field uuid string
