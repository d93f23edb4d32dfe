/* Fields of events that no payload has. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/file.h"
#include "catalog/catalog.h"

#include "lint/lint.h"
#include "lint/lint_event.h"

static const char *const globals[] = {"log", "log.info", "log.warn", "print",
    "ipairs", "http", "http.post", "schedule", "schedule.every"};
static struct catalog *catalog;
static struct lint_events *events;
static struct buf out;

static void
setup(void)
{
	struct err err = ERR_INIT;

	cr_assert_eq(catalog_open(NULL, 0, &catalog, &err), 0, "%s", err.msg);
	events = lint_events_create(catalog);
}

static void
teardown(void)
{
	lint_events_free(events);
	catalog_free(catalog);
	buf_free(&out);
}

TestSuite(lint_event, .init = setup, .fini = teardown);

static void
report(void *cookie, unsigned int line, unsigned int column, const char *code,
    const char *message)
{
	if (strcmp(code, "undefined-global") == 0)
		return;
	cr_expect(strcmp(code, "unknown-field") == 0 ||
		  strcmp(code, "unknown-value") == 0);
	buf_printf(cookie, "%u:%u: %s\n", line, column, message);
}

static const char *
lint(const char *source)
{
	struct lint_known known = {
	    .globals = globals, .globals_n = NELEMS(globals), .events = events};

	known.handlers = catalog_handler_names(catalog, &known.handlers_n);
	buf_reset(&out);
	lint_check(str_of(source), &known, report, &out);
	return buf_text(&out);
}

/* The body of on_issue(event). */
static const char *
lint_body(const char *body)
{
	static char source[2000];

	(void)snprintf(
	    source, sizeof(source), "function on_issue(event) %s end", body);
	return lint(source);
}

#define EXPECT_GOOD(body) cr_expect_str_eq(lint_body(body), "", "%s", body)
#define EXPECT_BAD(body, part)                                                 \
	cr_expect(strstr(lint_body(body), part) != NULL, "%s: %s", body,       \
	    buf_text(&out))

#define NO_ISUE "no payload of 'issue' has 'data.isue', did you mean 'issue'?"

Test(lint_event, a_field_that_no_payload_has_is_told_with_its_place)
{
	cr_expect_str_eq(
	    lint("function on_issue(event)\n\n  print(event.data.isue)\nend"),
	    "3:20: " NO_ISUE "\n");
	EXPECT_BAD("print(event['data']['isue'])", NO_ISUE);
	EXPECT_BAD("print(event.data.isue.title)", NO_ISUE);
	EXPECT_BAD("if event.data.isue then end", NO_ISUE);
	EXPECT_BAD("print(#event.data.isue)", NO_ISUE);
	EXPECT_BAD("print(-1 + event.data.isue .. 'x')", NO_ISUE);
	EXPECT_BAD("return event.data.isue", NO_ISUE);
	EXPECT_BAD("event.data.isue()", NO_ISUE);
	EXPECT_BAD("event.data.isue:x()", NO_ISUE);
	EXPECT_BAD("event.data.isue.x = 1", NO_ISUE);
	EXPECT_BAD("t = {a = event.data.isue, [event.data.isue] = 1}", NO_ISUE);
	EXPECT_BAD("print(event.data and event.data.isue)", NO_ISUE);
	EXPECT_BAD("print((event.data or {}).isue)", NO_ISUE);
	EXPECT_BAD("print((event.data).isue)", NO_ISUE);
	EXPECT_BAD("local function f() return event.data.isue end", NO_ISUE);
	EXPECT_BAD("for i = 1, 3 do print(event.data.isue) end", NO_ISUE);
	EXPECT_BAD("print(event.data.frobnicate)",
	    "no payload of 'issue' has 'data.frobnicate'\n");
	EXPECT_BAD("print(event.payload.data.isue)",
	    "has 'payload.data.isue', did you mean 'issue'?");
}

Test(lint_event, locals_are_followed_as_long_as_they_stay)
{
	EXPECT_BAD("local d = event.data print(d.isue)", NO_ISUE);
	EXPECT_BAD("local a, d = 1, event.data print(a, d.isue)", NO_ISUE);
	EXPECT_BAD("local d <const> = event.data or {} print(d.isue)", NO_ISUE);
	EXPECT_BAD("local i = event.data.issue print(i and i.tilte)",
	    "'data.issue.tilte', did you mean 'title'?");
	EXPECT_BAD(
	    "local e = event local i = e.data.issue print(i.project.slgu)",
	    "'data.issue.project.slgu', did you mean 'slug'?");
	/* What is changed somewhere may be anything anywhere. */
	EXPECT_GOOD("local d = event.data d = other() print(d.isue)");
	EXPECT_GOOD(
	    "local d = event.data while true do print(d.isue) d = 1 end");
	EXPECT_GOOD("event = {} print(event.data.isue)");
	EXPECT_GOOD("local function d() end d = event.data print(d.isue)");
	EXPECT_GOOD("local d = event.data local d = {} print(d.isue)");
	EXPECT_GOOD("local function f(event) print(event.data.isue) end");
	EXPECT_GOOD("local d = x and event.data or y print(d.isue)");
	EXPECT_GOOD("local d = event.data == 1 print(d.isue)");
	EXPECT_GOOD("for _, event in ipairs(t) do print(event.data.isue) end");
	/* What the script puts there is there. */
	EXPECT_GOOD("event.data.isue = 1 print(event.data.isue)");
	EXPECT_GOOD("event.mine = 1 print(event.mine)");
	EXPECT_GOOD("function event.data.f() end event.data.f()");
}

Test(lint_event, the_event_itself_is_known)
{
	EXPECT_BAD("print(event.resorce)",
	    "an event has no 'resorce', did you mean 'resource'?");
	EXPECT_BAD("print(event.frobnicate)", "an event has no 'frobnicate'\n");
	EXPECT_BAD("event:rety{}",
	    "an event has no method 'rety', did you mean 'retry'?");
	EXPECT_GOOD("event:retry{after = 1} event:drop() event.drop(event)");
	EXPECT_GOOD("print(event.headers.anything, event.warnings[1].pointer)");
	EXPECT_GOOD("print(event.action:upper(), event.id, event.attempt)");
	EXPECT_BAD(
	    "print(event.actor.nmae)", "'actor.nmae', did you mean 'name'?");
}

Test(lint_event, several_resources_are_one)
{
	cr_expect_str_eq(
	    lint("function on_alert(e) print(e.data.metric_alert.id,"
		 " e.data.event.title, e.data.activity) end"),
	    "");
	cr_expect(strstr(lint("on_alert = function(e) print(e.data.isue) end"),
	    "no payload of 'activity_alert', 'event_alert' or 'metric_alert' "
	    "has 'data.isue', did you mean 'issue'?"));
	cr_expect_str_eq(lint("function on_error(e) print(e.error.title,"
			      " e.data.event, e.data.error) end"),
	    "");
	cr_expect(strstr(lint("function on_error(e) print(e.error.tilte) end"),
	    "has 'error.tilte', did you mean 'title'?"));
	/* on_event gets what nobody knows. */
	cr_expect_str_eq(
	    lint("function on_event(e) print(e.data.isue, e.payload.x) end"),
	    "");
	cr_expect(strstr(lint("function on_event(e) print(e.datta) end"),
	    "an event has no 'datta'"));
}

Test(lint_event, what_is_open_is_not_judged)
{
	EXPECT_GOOD("print(event.data.issue.metadata.whatever)");
	EXPECT_GOOD("print(event.data.issue.statusDetails.inRelease)");
	EXPECT_GOOD(
	    "print(event.data.issue.title.x, event.data.issue.title:len())");
	EXPECT_GOOD("print(event.data.issue.annotations[1].url)");
	/* Sentry sends more about an issue than is written down. */
	EXPECT_GOOD("print(event.data.issue.frobnicate)");
	EXPECT_GOOD("print(event.data[event.action], event.data[1])");
	cr_expect_str_eq(lint("local function on_issue(e) print(e.x) end"), "");
	cr_expect_str_eq(lint("local t = {} function t.on_issue(e)"
			      " print(e.x) end function t:on_issue(e)"
			      " print(e.x) end"),
	    "");
	cr_expect_str_eq(lint("schedule.every('5m', 'x', function(event)"
			      " print(event.data.due_at) end)"),
	    "");
}

Test(lint_event, schedules_and_loops)
{
	cr_expect(
	    strstr(lint("schedule.every('5m', 'x', function(event)\n"
			"  log.info(event.data.name, event.data.nmae)\nend)"),
		"2:40: no payload of a schedule has 'data.nmae', did you mean "
		"'name'?"));
	cr_expect_str_eq(
	    lint("schedule.every('5m', 'x', function(e)"
		 " log.info(e.data.due_at, e.data.missed, e.action) end,"
		 " {catch_up = 'none'}) other.every(function(e)"
		 " print(e.x) end)"),
	    "");
	EXPECT_BAD("for _, row in ipairs(event.payload.data.isue) do end",
	    "did you mean 'issue'?");
	EXPECT_GOOD("for i = 1, #event.data do print(i) end");
	EXPECT_GOOD("for k, v in pairs(event.data) do print(v.x) end");
	cr_expect(strstr(
	    lint("function on_alert(e) for _, t in"
		 " ipairs(e.data.metric_alert.alert_rule.triggers) do"
		 " print(t.label, t.lable) end end"),
	    "has 'data.metric_alert.alert_rule.triggers[].lable', did you mean "
	    "'label'?"));
}

Test(lint_event, what_a_field_never_is)
{
	cr_expect_str_eq(
	    lint("function on_issue(event)\n"
		 "  if event.action == \"creatd\" then return end\nend"),
	    "2:22: 'action' is never 'creatd' in a payload of 'issue', did you "
	    "mean 'created'?\n");
	EXPECT_BAD("if 'resolvd' ~= event.action then end",
	    "did you mean 'resolved'?");
	EXPECT_BAD("local i = event.data.issue return i.level == 'critical'",
	    "'data.issue.level' is never 'critical' in a payload of 'issue': "
	    "it is 'fatal', 'error', ");
	EXPECT_BAD("return x and event.action == 'creatd' or y",
	    "did you mean 'created'?");
	EXPECT_GOOD(
	    "return event.action == 'created', event.action ~= 'ignored'");
	EXPECT_GOOD("return event.action .. 'x' == 'createdx'");
	EXPECT_GOOD("return event.action == 'cre' .. 'ated'");
	EXPECT_GOOD("return event.action == 'cr\\x65ated'");
	EXPECT_GOOD("return event.data.issue.title == 'creatd'");
	EXPECT_GOOD("return event.resource == 'isue', #event.action == 'x'");
	EXPECT_GOOD("return event.action == nil, event.action == x");
	cr_expect_str_eq(
	    lint("function on_alert(e) return e.action == 'critical',"
		 " e.action == 'triggered', e.action == 'resolved' end"),
	    "");
	cr_expect(
	    strstr(lint("function on_alert(e) return e.action == 'warnin' end"),
		"did you mean 'warning'?"));
	cr_expect_str_eq(
	    lint("function on_event(e) return e.action == 'creatd' end"), "");
}

Test(lint_event, functions_of_modules)
{
	EXPECT_BAD(
	    "http.psot('x')", "there is no http.psot, did you mean http.post?");
	EXPECT_BAD("local p = http.psot", "there is no http.psot");
	EXPECT_BAD("http.frobnicate()", "there is no http.frobnicate\n");
	EXPECT_GOOD("log.info('x') print(http[1], http['psot'])");
	EXPECT_GOOD("local http = {} http.psot()");
	EXPECT_GOOD("http = {} http.psot()");
}

Test(lint_event, knows_the_fields_that_the_reference_has)
{
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	char line[80];
	size_t i, n = 0;
	const char *at;

	cr_assert_eq(
	    file_read("lua/meta/event.d.lua", 1 << 20, &text, &err), 0);
	for (i = 0; lint_event_fields[i] != NULL; i++) {
		(void)snprintf(
		    line, sizeof(line), "---@field %s ", lint_event_fields[i]);
		if (strstr(text.data, line) == NULL)
			(void)snprintf(line, sizeof(line), "function event:%s(",
			    lint_event_fields[i]);
		cr_expect(strstr(text.data, line), "%s", lint_event_fields[i]);
	}
	/* The two of event.retry_options are not among them. */
	for (at = text.data; (at = strstr(at, "\n---@field ")) != NULL; at++)
		n++;
	for (at = text.data; (at = strstr(at, "\nfunction event:")); at++)
		n++;
	cr_expect_eq(n, i + 2);
	buf_free(&text);
}
