#include "script_fixture.h"

TestSuite(l_ui, .init = fix_setup, .fini = fix_teardown);

#define FIELD "{name='a',label='A',type='text',required=true}"
#define ACTION(rest) "alert_action{title='T'," rest "}"
#define FIELDS(field) ACTION("fields={" FIELD ",{" field "}}")
#define SELECT(rest) FIELDS("name='s',label='S',type='select'," rest)

Test(l_ui, declares_an_alert_action_as_data)
{
	fix_load("alert_action{title='Page', description='Who?', fields={"
		 "{name='service',label='Service',type='select',required=true,"
		 " options=function() return {} end, async=false},"
		 "{name='team',label='Team',type='select',"
		 " options={{value='a',label='A'},{value=2,label='B'}}},"
		 "{name='who',label='Who',type='select',depends_on={'service'},"
		 " options=function() return {} end, skip_load_on_open=true},"
		 "{name='note',label='Note',type='textarea',"
		 " default='issue.title'}},"
		 "validate=function() return true end, fire=function() end}");
	cr_assert_not_null(strstr(loaded.declared, "{\"ui\":[{"));
	cr_assert_not_null(
	    strstr(loaded.declared, "\"kind\":\"alert_action\""));
	cr_assert_not_null(
	    strstr(loaded.declared, "\"uri\":\"/ui/options/service\""));
	cr_assert_not_null(
	    strstr(loaded.declared, "[[\"a\",\"A\"],[\"2\",\"B\"]]"));
	cr_assert_not_null(
	    strstr(loaded.declared, "\"depends_on\":[\"service\"]"));
	cr_assert_not_null(strstr(loaded.declared, "\"async\":false"));
	cr_assert_eq(loaded.nhandlers, 1);
	cr_assert_str_eq(loaded.handlers[0], "alert_action.fire");
}

Test(l_ui, declares_links)
{
	fix_load("local p = {fields={" FIELD "}, run=function() end}\n"
		 "issue_link{title='I', create=p, link=p}\n"
		 "stacktrace_link{url=function() end}");
	cr_assert_not_null(strstr(loaded.declared, "\"kind\":\"issue_link\""));
	cr_assert_not_null(
	    strstr(loaded.declared, "\"kind\":\"stacktrace_link\""));
	cr_assert_eq(loaded.nhandlers, 0);
}

/* What Sentry refuses is refused at load, with the place and the reason. */
static const struct refusal {
	const char *source;
	const char *why;
} refusals[] = {
    {"alert_action(1)", "table expected"},
    {"\n\nalert_action{}", "scripts/on_x.lua:3: alert_action: 'title' must"},
    {"alert_action{title=' '}", "'title' must be text that is not empty"},
    {"alert_action{titel='x'}", "unknown key 'titel'"},
    {ACTION("description='',fields={" FIELD "}"), "'description' must"},
    {ACTION("description=('é'):rep(141),fields={" FIELD "}"),
	"'description' has 141 characters: Sentry takes 1 to 140"},
    {ACTION("description='\\xff',fields={" FIELD "}"), "no UTF-8"},
    {ACTION("fields=1"), "'fields' must be a list"},
    {ACTION("fields={" FIELD ",x=1}"), "'fields' must be a list"},
    {ACTION("fields={1}"), "fields[1]: a field must be a table"},
    {ACTION("fields={}"), "at least one required field"},
    {ACTION("fields={{name='a',label='A',type='text'}}"),
	"at least one required field"},
    {ACTION("validate=1,fields={" FIELD "}"), "'validate' must be a function"},
    {ACTION("fire={},fields={" FIELD "}"), "'fire' must be a function"},
    {FIELDS("label='B',type='text'"), "fields[2]: 'name' must be text"},
    {FIELDS("name='b',type='text'"), "fields[2] (b): 'label' must be text"},
    {FIELDS("name='b',label='B'"), "'select', not missing"},
    {FIELDS("name='b',label='B',type='number'"), "not 'number'"},
    {FIELDS("name='a',label='B',type='text'"), "another field of that name"},
    {FIELDS("name='b',label='B',type='text',required=1"),
	"'required' must be true or false"},
    {FIELDS("name='b',label='B',type='text',options={}"), "is for a select"},
    {FIELDS("name='b',label='B',type='text',async=true"), "is for a select"},
    {FIELDS("name='b',label='B',type='textarea',default='x'"),
	"no other 'default' than"},
    {FIELDS("name='b',label='B',type='text',placeholder='x'"),
	"unknown key 'placeholder'"},
    {SELECT("required=false"), "a select needs 'options'"},
    {SELECT("options={}"), "'options' is empty"},
    {SELECT("options='x'"), "'options' must be a list"},
    {SELECT("options={'x'}"), "options[1]: must be {value =, label =}"},
    {SELECT("options={{value='x'}}"), "'value' and 'label' must be text"},
    {SELECT("options={{value=1.5,label='x'}}"), "must be text"},
    {SELECT("options={{value='x',label='x',default=true}}"),
	"unknown key 'default'"},
    {SELECT("options={{value=1,label='x'},{value='1',label='y'}}"),
	"the value '1' is there twice"},
    {SELECT("options={{value='x',label='x'}},async=true"),
	"'async' is for options that a function gives"},
    {SELECT("options={{value='x',label='x'}},depends_on={'a'}"),
	"'depends_on' is for options"},
    {SELECT("options={{value='x',label='x'}},default='x'"),
	"no 'default' of a select"},
    {SELECT("options=print,async=1"), "'async' must be true or false"},
    {SELECT("options=print,depends_on={}"), "and not empty"},
    {SELECT("options=print,depends_on='a'"), "must be a list of names"},
    {SELECT("options=print,depends_on={'b'}"), "names 'b'"},
    {SELECT("options=print,depends_on={'s'}"), "names 's'"},
    {FIELDS("name='a b',label='S',type='select',options=print"),
	"served at /ui/options/NAME"},
    {FIELDS("name='..',label='S',type='select',options=print"),
	"served at /ui/options/NAME"},
    {ACTION("fields={" FIELD
	    ",{name='s',label='S',type='select',options=print,depends_on={'t'}}"
	    ",{name='t',label='S',type='select',options=print,depends_on={'s'}}"
	    "}"),
	"depends on itself"},
    {"issue_link{create={fields={" FIELD "},run=print}}", "'link' must be"},
    {"issue_link{link={fields={" FIELD "},run=print}}", "'create' must be"},
    {"local p={fields={" FIELD "}} issue_link{create=p,link=p}",
	"create: 'run' must be a function"},
    {"local function s(f) return {run=print,fields={{name='s',label='S',"
     "required=true,type='select',options=f}}} end\n"
     "issue_link{create=s(print),link=s(type)}",
	"link: fields[1] (s): the field 's' of issue_link.create has another "
	"options function"},
    {"stacktrace_link{}", "'url' must be a function"},
    {"stacktrace_link{url=print,uri='/x'}", "unknown key 'uri'"},
    {ACTION("fields={" FIELD "}") ACTION("fields={" FIELD "}"),
	"there is one already"},
};

Test(l_ui, refuses_what_sentry_refuses)
{
	size_t i;

	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		fix_try_load(refusals[i].source);
		cr_assert_null(bundle, "%s", refusals[i].source);
		cr_assert_not_null(strstr(loaded.error, refusals[i].why),
		    "%s\n%s", refusals[i].source, loaded.error);
	}
}

Test(l_ui, forms_may_share_an_options_function)
{
	fix_load("local p={run=print,fields={{name='s',label='S',required=true,"
		 "type='select',options=print}}} issue_link{create=p,link=p}");
}

Test(l_ui, a_failed_component_leaves_nothing_behind)
{
	fix_load("assert(not pcall(alert_action, {title='x', fields={{name='s',"
		 "label='S',type='select',options=print}}}))\n"
		 "alert_action{title='x', fields={{name='s',label='S',"
		 "required=true,type='select',options=type}}}");
}

Test(l_ui, only_while_loading)
{
	fix_bad(ACTION("fields={" FIELD "}"), "only while the script loads");
}

Test(l_ui, does_not_mind_what_the_script_does_to_its_globals)
{
	fix_load(
	    "stacktrace_link{url=print}\n"
	    "type, pairs, ipairs, error = nil\n" ACTION("fields={" FIELD "}"));
}

/* ---- fire -----------------------------------------------------------------
 */

#define FIRE                                                                   \
	"local function show(t) local r = {} for k, v in pairs(t) do"          \
	" r[#r+1] = k .. '=' .. tostring(v) end table.sort(r)"                 \
	" return '[' .. table.concat(r, ' ') .. ']' end\n" ACTION(             \
	    "fields={" FIELD "},fire=function(settings, alert, event)"         \
	    " log.info(show(settings) .. show(alert)) end")

/* Run fire on a delivery, and find ${part} in the line that it logs. */
static void
fires(const char *resource, const char *action, const char *body,
    const char *settings, const char *alert)
{
	char handler[] = "alert_action.fire", delivery[] = "42",
	     integration[] = "default", request[] = "r-1";
	struct proto_run run = {7, handler, delivery, integration,
	    (char *)(uintptr_t)resource, (char *)(uintptr_t)resource,
	    (char *)(uintptr_t)action, request, 1700000000123, 1, STR("{}"),
	    {NULL, 0}, str_of(body), NULL, 0};

	buf_reset(&logged);
	ended[2] = 0;
	proto_outcome_clear(&outcomes[2]);
	bundle_run(bundle, 2, &run);
	fix_wait(2);
	cr_assert_eq(
	    outcomes[2].result, PROTO_DONE, "%s: %s", body, outcomes[2].error);
	cr_expect_not_null(strstr(buf_text(&logged), settings), "%s\n%s",
	    settings, buf_text(&logged));
	cr_expect_not_null(
	    strstr(buf_text(&logged), alert), "%s\n%s", alert, logged.data);
}

Test(l_ui, fire_gets_the_settings_of_an_issue_alert)
{
	fix_load(FIRE);
	fires("event_alert", "triggered",
	    "{\"action\":\"triggered\",\"data\":{\"triggered_rule\":\"Rule\","
	    "\"event\":{\"title\":\"Boom\",\"level\":\"error\",\"project\":7,"
	    "\"url\":\"https://x/api/0/projects/org/shop/events/1/\","
	    "\"web_url\":\"https://x/1\"},\"issue_alert\":{\"title\":\"Mine\","
	    "\"settings\":[{\"name\":\"a\",\"value\":\"v\"},"
	    "{\"name\":\"n\",\"value\":1},{\"name\":\"z\",\"value\":null},"
	    "{\"summary\":\"s\"}]}}}",
	    "[a=v n=1 summary=s]",
	    "[level=error project=shop resource=event_alert "
	    "settings_missing=false state=triggered title=Mine "
	    "url=https://x/1]");
}

Test(l_ui, fire_falls_back_where_sentry_says_less)
{
	fix_load(FIRE);
	fires("event_alert", "triggered",
	    "{\"data\":{\"triggered_rule\":\"\",\"event\":{\"title\":\"Boom\","
	    "\"project\":7}}}",
	    "[][",
	    "[project=7 resource=event_alert settings_missing=true "
	    "state=triggered title=Boom]");
}

#define TRIGGERS                                                               \
	"\"triggers\":[{\"label\":\"critical\",\"actions\":["                  \
	"{\"type\":\"email\",\"settings\":[{\"name\":\"a\",\"value\":0}]},"    \
	"{\"type\":\"sentry_app\",\"sentry_app_installation_uuid\":\"other\"," \
	"\"settings\":[{\"name\":\"a\",\"value\":1}]},"                        \
	"{\"type\":\"sentry_app\",\"settings\":"                               \
	"[{\"name\":\"a\",\"label\":null,\"value\":2}]}]},"                    \
	"{\"label\":\"warning\",\"actions\":[{\"type\":\"sentry_app\","        \
	"\"sentry_app_installation_uuid\":\"u\","                              \
	"\"settings\":[{\"name\":\"a\",\"value\":3}]}]}]"
#define METRIC(action, triggers)                                               \
	"{\"action\":\"" action "\",\"installation\":{\"uuid\":\"u\"},"        \
	"\"data\":{\"description_title\":\"D\",\"web_url\":\"https://x/m\","   \
	"\"metric_alert\":{\"title\":\"T\",\"projects\":[\"shop\"],"           \
	"\"alert_rule\":{\"name\":\"R\"," triggers "}}}}"

Test(l_ui, fire_gets_the_settings_of_a_metric_alert)
{
	fix_load(FIRE);
	fires("metric_alert", "critical", METRIC("critical", TRIGGERS),
	    "[a=2][",
	    "[level=critical project=shop resource=metric_alert "
	    "settings_missing=false state=critical title=R url=https://x/m]");
	fires("metric_alert", "warning", METRIC("warning", TRIGGERS), "[a=3][",
	    "level=warning");
	fires("metric_alert", "resolved", METRIC("resolved", TRIGGERS),
	    "[a=2][",
	    "level=info project=shop resource=metric_alert "
	    "settings_missing=false state=resolved");
	fires("metric_alert", "critical", METRIC("critical", "\"triggers\":[]"),
	    "[][", "settings_missing=true");
	fires("metric_alert", "critical", "{\"data\":{}}", "[][",
	    "settings_missing=true");
}

Test(l_ui, fire_gets_the_settings_of_an_activity_alert)
{
	fix_load(FIRE);
	fires("activity_alert", "triggered",
	    "{\"data\":{\"issue\":{\"title\":\"I\",\"level\":\"warning\","
	    "\"web_url\":\"https://x/i\",\"project\":{\"slug\":\"shop\"}},"
	    "\"activity\":{\"type\":\"status_resolved\"},"
	    "\"alert\":{\"title\":\"A\",\"settings\":"
	    "[{\"name\":\"a\",\"value\":\"x\"}]}}}",
	    "[a=x][",
	    "[level=warning project=shop resource=activity_alert "
	    "settings_missing=false state=resolved title=A url=https://x/i]");
	fires("activity_alert", "triggered",
	    "{\"data\":{\"issue\":{\"title\":\"I\"},\"activity\":{},"
	    "\"alert\":{}}}",
	    "[][", "title=I");
}

Test(l_ui, fire_can_be_dropped_retried_and_be_gone)
{
	char handler[] = "alert_action.fire", delivery[] = "42",
	     integration[] = "default", resource[] = "event_alert";
	struct proto_run run = {7, handler, delivery, integration, resource,
	    resource, NULL, NULL, 1700000000123, 1, STR("{}"), {NULL, 0},
	    STR("{\"data\":{}}"), NULL, 0};

	fix_load(
	    ACTION("fields={" FIELD "},fire=function(settings, alert, event)"
		   " event:drop('not now') end"));
	bundle_run(bundle, 3, &run);
	fix_wait(3);
	cr_assert_eq(
	    outcomes[3].result, PROTO_DROPPED, "%s", outcomes[3].error);
	cr_assert_str_eq(outcomes[3].error, "not now");
	fix_load(
	    ACTION("fields={" FIELD "},fire=function(settings, alert, event)"
		   " event:retry{after=5} end"));
	bundle_run(bundle, 4, &run);
	fix_wait(4);
	cr_assert_eq(outcomes[4].result, PROTO_RETRY);
	cr_assert_eq(outcomes[4].after_ms, 5000);
	fix_load("function on_alert() end");
	bundle_run(bundle, 5, &run);
	fix_wait(5);
	cr_assert_eq(outcomes[5].result, PROTO_GONE);
}
