#include "unit/script_fixture.h"

TestSuite(bundle, .init = fix_setup, .fini = fix_teardown, .timeout = 30);

Test(bundle, runs_a_handler)
{
	fix_good("assert(1 + 1 == 2)");
	cr_expect_eq(outcomes[1].uncharged, 0);
	cr_expect_null(outcomes[1].error);
	cr_expect_gt(outcomes[1].memory_bytes, 1000);
	cr_expect_eq(bundle_jobs(bundle), 0);
	cr_expect_eq(bundle_id(bundle), 7);
	cr_expect_eq(page.activity, PROTO_IDLE);
	cr_expect_geq(page.slices, 2);
}

Test(bundle, tells_its_handlers_and_libs)
{
	fix_load("local h = require 'helper'\n"
		 "function on_b() require 'none' end function on_a() end "
		 "on_c = 1 function off() end");
	cr_assert_eq(loaded.nhandlers, 2);
	cr_expect_str_eq(loaded.handlers[0], "on_a");
	cr_expect_str_eq(loaded.handlers[1], "on_b");
	cr_assert_eq(loaded.nlibs, 2);
	cr_expect_str_eq(loaded.libs[0], "helper");
	cr_expect_str_eq(loaded.libs[1], "none");
	cr_expect_null(loaded.error);
}

Test(bundle, tells_the_libs_that_its_libs_may_require_later)
{
	fix_load("local lazy = require 'lazy' function on_a() lazy() end");
	cr_assert_eq(loaded.nlibs, 2);
	cr_expect_str_eq(loaded.libs[0], "lazy");
	cr_expect_str_eq(loaded.libs[1], "lazier");
}

Test(bundle, an_error_at_load_names_file_and_line)
{
	fix_try_load("\nlocal x = nil\nlocal function f() return x.y end\nf()");
	cr_assert_null(bundle);
	cr_expect_str_eq(loaded.error,
	    "scripts/on_x.lua:3: attempt to index a nil value (upvalue 'x')");
	cr_expect_str_eq(loaded.traceback,
	    "scripts/on_x.lua:3: in local 'f'\n"
	    "scripts/on_x.lua:4: in the main chunk");
}

Test(bundle, a_syntax_error_names_file_and_line)
{
	fix_try_load("function on_x(\n");
	cr_assert_null(bundle);
	cr_expect_eq(strncmp(loaded.error, "scripts/on_x.lua:2:", 19), 0, "%s",
	    loaded.error);
}

Test(bundle, a_byte_order_mark_and_a_shebang_are_skipped)
{
	fix_load("\xEF\xBB\xBF#!/usr/bin/lua\nfunction on_x() error('no') end");
	fix_start(1, "{}");
	cr_expect_str_eq(outcomes[1].error, "scripts/on_x.lua:2: no");
}

Test(bundle, precompiled_chunks_are_refused)
{
	fix_try_load("\x1bLua");
	cr_assert_null(bundle);
	cr_expect_not_null(strstr(loaded.error, "binary"), "%s", loaded.error);
}

Test(bundle, an_error_has_a_traceback_of_the_users_frames)
{
	fix_bad("\n  local function inner() error('boom') end\n"
		"  pcall(string.rep, 'x', 1)\n  inner()",
	    "scripts/on_x.lua:2: boom");
	cr_expect_str_eq(outcomes[1].traceback,
	    "scripts/on_x.lua:2: in local 'inner'\n"
	    "scripts/on_x.lua:4: in handler on_x");
}

Test(bundle, errors_of_any_kind_are_told)
{
	fix_bad("error({code = 1})", "error object {\"code\":1}");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("error({message = 'peer is down'})", "peer is down");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("error(setmetatable({}, {__tostring = function() return 'mine' "
		"end}))",
	    "mine");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("error()", "error object is nil");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("error(print)", "function");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("error(12)", "12");
}

Test(bundle, an_error_object_that_loops_when_printed_is_cut_short)
{
	fix_bad("error(setmetatable({}, {__tostring = function() while true do "
		"end end}))",
	    "error object is a table");
}

Test(bundle, a_handler_that_is_not_there_is_gone)
{
	fix_load("on_x = 1 setmetatable(_G, {__index = function() "
		 "error('reached') end})");
	fix_start(1, "{}");
	cr_expect_eq(outcomes[1].result, PROTO_GONE);
	fix_load("");
	fix_start(2, "{}");
	cr_expect_eq(outcomes[2].result, PROTO_GONE);
}

Test(bundle, an_event_has_its_fields)
{
	fix_load(
	    "function on_x(event)\n"
	    "  assert(event.id == '42' and event.resource == 'issue')\n"
	    "  assert(event.channel == 'issue' and event.action == 'created')\n"
	    "  assert(event.integration == 'default')\n"
	    "  assert(event.request_id == 'r-1' and event.attempt == 1)\n"
	    "  assert(math.type(event.attempt) == 'integer')\n"
	    "  assert(event.received_at == 1700000000.123)\n"
	    "  assert(event.timestamp == 1700000001)\n"
	    "  assert(event.data.error.title == 'T')\n"
	    "  assert(event.error == event.data.error)\n"
	    "  assert(event.payload.data == event.data)\n"
	    "  assert(event.actor.id == 'sentry')\n"
	    "  assert(event.installation.uuid == 'u')\n"
	    "  assert(#event.warnings == 0)\n"
	    "  assert(json.encode(event.warnings) == '[]')\n"
	    "  assert(event.nothing == nil)\n"
	    "end");
	fix_start(1, "{\"action\":\"created\",\"data\":{\"error\":{\"title\":"
		     "\"T\"}},\"actor\":{\"id\":\"sentry\"},\"installation\":{"
		     "\"uuid\":\"u\"}}");
	cr_expect_eq(outcomes[1].result, PROTO_DONE, "%s", outcomes[1].error);
}

Test(bundle, event_error_is_the_event_of_an_alert_too)
{
	fix_load("function on_x(event) assert(event.error.title == 'T') end");
	fix_start(1, "{\"data\":{\"event\":{\"title\":\"T\"}}}");
	cr_expect_eq(outcomes[1].result, PROTO_DONE, "%s", outcomes[1].error);
}

Test(bundle, headers_are_found_in_any_case_and_have_no_signature)
{
	fix_good("assert(event.headers['sentry-hook-RESOURCE'] == 'issue') "
		 "assert(event.headers['x-n'] == '1') "
		 "assert(event.headers['Sentry-Hook-Signature'] == nil) "
		 "for k in pairs(event.headers) do "
		 "assert(not k:lower():find('signature')) end");
}

Test(bundle, a_body_that_is_no_object_is_no_crash)
{
	fix_load("function on_x(event) assert(event.payload[1] == 1) "
		 "assert(next(event.data) == nil) end");
	fix_start(1, "[1]");
	cr_expect_eq(outcomes[1].result, PROTO_DONE, "%s", outcomes[1].error);
	fix_start(2, "{nope");
	cr_expect_eq(outcomes[2].result, PROTO_ERROR);
	cr_expect_not_null(strstr(outcomes[2].error, "body"));
}

Test(bundle, retry_ends_the_run_whatever_is_around_it)
{
	fix_load("function on_x(event) while true do pcall(function() "
		 "event:retry{after = '2s', reason = 'later'} end) end end");
	fix_start(1, "{}");
	cr_assert(ended[1]);
	cr_expect_eq(outcomes[1].result, PROTO_RETRY);
	cr_expect_eq(outcomes[1].after_ms, 2000);
	cr_expect_str_eq(outcomes[1].error, "later");

	fix_load("function on_x(event) event:retry() error('no') end");
	fix_start(2, "{}");
	cr_expect_eq(outcomes[2].result, PROTO_RETRY);
	cr_expect_eq(outcomes[2].after_ms, UINT64_MAX);
	cr_expect_null(outcomes[2].error);
}

Test(bundle, drop_ends_the_run_also_from_where_nothing_can_yield)
{
	fix_load("function on_x(event) while true do pcall(table.sort, {3, 2, "
		 "1}, function() pcall(event.drop, event, 'enough') end) end "
		 "end");
	fix_start(1, "{}");
	cr_assert(ended[1]);
	cr_expect_eq(outcomes[1].result, PROTO_DROPPED);
	cr_expect_str_eq(outcomes[1].error, "enough");

	fix_load("function on_x(event) local co = coroutine.wrap(function() "
		 "pcall(function() event:drop() end) end) while true do "
		 "pcall(co) end end");
	fix_start(2, "{}");
	cr_assert(ended[2]);
	cr_expect_eq(outcomes[2].result, PROTO_DROPPED);
	cr_expect_null(outcomes[2].error);
}

Test(bundle, retry_says_what_is_wrong_with_its_options)
{
	fix_bad("event:retry{afer = 1}", "did you mean 'after'?");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("event:retry{after = 'soon'}", "after must be seconds");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("event.retry()", "");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("event.retry{after = 1}", "call it with a colon");
}

Test(bundle, an_event_that_is_over_cannot_be_used)
{
	fix_load("function on_x(event) if kept then kept:drop() end kept = "
		 "event end");
	fix_start(1, "{}");
	fix_start(2, "{}");
	cr_expect_eq(outcomes[2].result, PROTO_ERROR);
	cr_expect_not_null(strstr(outcomes[2].error,
	    "scripts/on_x.lua:1: use of a finished delivery"));
}

Test(bundle, require_finds_libs_and_modules)
{
	fix_good("local h = require 'helper' assert(h.twice(21) == 42) "
		 "assert(h.name == 'helper' and require 'helper' == h) "
		 "assert(require 'json' == json and require 'log' == log) "
		 "assert(require 'string' == string) "
		 "assert(require 'none' == true and x == 1)");
}

Test(bundle, require_says_what_is_wrong)
{
	static const char *const cases[][2] = {
	    {"require 'nope'", "there is no scripts/lib/nope.lua"},
	    {"require 'broken'", "scripts/lib/broken.lua:2:"},
	    {"\nrequire 'broken'", "near '=' (required by scripts/on_x.lua:2)"},
	    {"require 'wants-broken'",
		"near '=' (required by scripts/lib/wants-broken.lua:2)"},
	    {"require 'selfish'", "scripts/lib/selfish.lua:1: lib 'selfish' "
				  "requires itself: selfish -> selfish"},
	    {"require 'ping'", "scripts/lib/peng.lua:3: lib 'ping' requires "
			       "itself: ping -> pong -> peng -> ping"},
	    {"require 'pong'", "lib 'pong' requires itself: pong -> peng -> "
			       "ping -> pong"},
	    {"require 'sleepy'", "cannot wait while the script loads"},
	    {"require '../secret'", "not found"},
	    {"require 'io'", "not found"},
	    {"require 'debug'", "not found"},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fix_bad(cases[i][0], cases[i][1]);
		proto_outcome_clear(&outcomes[1]);
		ended[1] = 0;
	}
	/* A lib that failed once is tried again, also after a kill in it. */
	fix_load("function on_x() assert(not pcall(require, 'broken')) "
		 "require 'broken' end");
	fix_start(1, "{}");
	cr_expect_not_null(strstr(outcomes[1].error, "broken.lua:2:"));
	fix_load("function on_x() require 'endless' end");
	fix_start(2, "{}");
	cr_expect_not_null(strstr(outcomes[2].error, "CPU limit"));
	fix_start(3, "{}");
	cr_expect_not_null(
	    strstr(outcomes[3].error, "CPU limit"), "%s", outcomes[3].error);
}

Test(bundle, jobs_share_globals_and_nothing_else)
{
	fix_load("n = 0 function on_x(event) n = n + 1 sleep(0.01) "
		 "log.info('n', {n = n, id = event.data.n}) end");
	fix_start(1, "{\"data\":{\"n\":1}}");
	fix_start(2, "{\"data\":{\"n\":2}}");
	cr_expect_eq(bundle_jobs(bundle), 2);
	fix_wait(1);
	fix_wait(2);
	cr_expect_not_null(strstr(buf_text(&logged), "n=2"));
	cr_expect_not_null(strstr(buf_text(&logged), "id=1"));
}

Test(bundle, sleeping_jobs_go_with_the_bundle_in_silence)
{
	fix_load("function on_x() sleep(4) end");
	fix_start(1, "{}");
	fix_start(2, "{}");
	bundle_free(bundle);
	bundle = NULL;
	cr_expect_not(ended[1]);
}

Test(bundle, sleep_is_refused_where_nothing_can_wait)
{
	static const char *const cases[][2] = {
	    {"coroutine.wrap(function() sleep(0) end)()",
		"cannot wait inside a coroutine of the script's own"},
	    {"table.sort({1, 2}, function() sleep(0) end)",
		"cannot wait inside a callback of sort"},
	    {"sleep(3600)", "event:retry{after = ...}"},
	    {"sleep(-1)", "the duration of sleep must be seconds"},
	    {"sleep('x')", "must be seconds"},
	    {"sleep(0/0)", "must be seconds"},
	    {"sleep()", "must be seconds"},
	    {"coroutine.yield()", "outside a coroutine"},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fix_bad(cases[i][0], cases[i][1]);
		proto_outcome_clear(&outcomes[1]);
		ended[1] = 0;
	}
	fix_try_load("sleep(1)");
	cr_expect_not_null(strstr(loaded.error, "while the script loads"));
	fix_good("sleep(0) sleep('1ms') pcall(sleep, 0.001)");
}

Test(bundle, a_thousand_sleepers_survive_collection)
{
	int i;

	env.limits.mem_bytes = 64U << 20;
	env.limits.cpu_ms = 0;
	fix_load(
	    "n = 0 function on_x() sleep(0.005) collectgarbage() n = n + 1 "
	    "end");
	for (i = 0; i < 50; i++)
		fix_start((uint64_t)i, "{}");
	for (i = 0; i < 50; i++)
		fix_wait((uint64_t)i);
	cr_expect_eq(outcomes[49].result, PROTO_DONE, "%s", outcomes[49].error);
}

Test(bundle, log_lines_have_levels_and_fields)
{
	env.limits.debug = 1;
	fix_good("log.debug('d') log.info('i', {a = 1}) log.warn(12) "
		 "log.error('e', {f = print}) print('p', 1, nil)");
	cr_expect_str_eq(buf_text(&logged),
	    "debug d\ninfo i a=1\nwarn 12\nerror e f=\"cannot encode this "
	    "value: it is a function\"\ninfo p\t1\tnil\n");
	buf_reset(&logged);
	env.limits.debug = 0;
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_good("log.debug('d')");
	cr_expect_str_eq(buf_text(&logged), "");
}

Test(bundle, a_flood_of_log_lines_is_cut)
{
	size_t i, lines = 0;

	fix_good("for i = 1, 5000 do log.info('x') end");
	for (i = 0; i < logged.len; i++)
		lines += logged.data[i] == '\n';
	cr_expect_eq(lines, 1001);
	cr_expect_not_null(strstr(logged.data, "warn log limit"));

	buf_reset(&logged);
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_good("for i = 1, 50 do log.info('x', {s = ('y'):rep(10000)}) end");
	cr_expect_lt(logged.len, 300000);
	cr_expect_not_null(strstr(logged.data, "warn log limit"));
}

Test(bundle, secrets_are_asked_for_once)
{
	fix_load("url = secret 'JIRA_URL' function on_x() "
		 "assert(secret 'JIRA_URL' == 'https://jira.example') end");
	fix_start(1, "{}");
	cr_expect_eq(outcomes[1].result, PROTO_DONE, "%s", outcomes[1].error);
	cr_expect_eq(secrets_asked, 1);
}

Test(bundle, a_secret_that_is_not_there_says_how_to_set_it)
{
	static const char *const cases[][2] = {
	    {"secret 'NOPE'", "no secret NOPE: set NOPE in the environment"},
	    {"secret 'jira'", "capital letters"},
	    {"secret ''", "capital letters"},
	    {"secret '1A'", "capital letters"},
	    {"secret 'A\\0B'", "capital letters"},
	    {"secret 'MOONPOST_KEY'", "the host's own"},
	    {"secret 'SENTRY_CLIENT_SECRET'", "the host's own"},
	    {"secret 'ACME__KEY'", "another integration's"},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fix_bad(cases[i][0], cases[i][1]);
		proto_outcome_clear(&outcomes[1]);
		ended[1] = 0;
	}
}

Test(bundle, configuration_is_evaluated)
{
	char *text, *error;

	bundle_eval(&env, 1, "moonpost.lua",
	    "return {listen = '127.0.0.1:0', url = env 'HOME_URL', no = env "
	    "'X', list = {1, 2}}",
	    &text, &error);
	cr_assert_null(error, "%s", error);
	cr_expect_not_null(
	    strstr(text, "\"url\":\"https://jira.example\""), "%s", text);
	free(text);

	bundle_eval(&env, 1, "moonpost.lua", "return 1", &text, &error);
	cr_assert_null(text);
	cr_expect_str_eq(error,
	    "moonpost.lua: it does not return a table: write return { ... }");
	free(error);
	bundle_eval(
	    &env, 1, "moonpost.lua", "return {a = {print}}", &text, &error);
	cr_expect_str_eq(
	    error, "moonpost.lua: cannot encode a[1]: it is a function");
	free(error);
	bundle_eval(
	    &env, 1, "moonpost.lua", "while true do end", &text, &error);
	cr_expect_not_null(strstr(error, "CPU limit"));
	free(error);
	bundle_eval(&env, 1, "moonpost.lua", "require 'helper'", &text, &error);
	cr_expect_str_eq(error,
	    "moonpost.lua:1: module 'helper' not found: moonpost has none of "
	    "that name, and a configuration has no lib/");
	free(error);
	bundle_eval(&env, 1, "moonpost.lua",
	    "return {n = require 'json'.decode '7'}", &text, &error);
	cr_expect_str_eq(text, "{\"n\":7}");
	free(text);
	bundle_eval(&env, 1, "moonpost.lua", "return {", &text, &error);
	cr_expect_eq(strncmp(error, "moonpost.lua:1:", 15), 0);
	free(error);
	env.limits.mem_bytes = 1000;
	bundle_eval(&env, 1, "moonpost.lua", "return {}", &text, &error);
	cr_expect_not_null(strstr(error, "cannot start Lua"));
	free(error);
}
