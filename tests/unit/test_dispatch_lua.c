/* The dispatcher with the workers that users have, and handlers in Lua. */

#include <limits.h>
#include <signal.h>

#include "json/jdoc.h"

#include "unit/dispatch_util.h"

static char program[PATH_MAX];

/* The program lies two folders above the tests. */
static void
setup_lua(void)
{
	char self[PATH_MAX - 32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int i;

	cr_assert_gt(n, 0);
	self[n] = '\0';
	for (i = 0; i < 3; i++)
		*strrchr(self, '/') = '\0';
	(void)snprintf(program, sizeof(program), "%s/moonpost", self);
	setup();
	options.program = program;
	options.limits.cpu_ms = 500;
}

TestSuite(dispatch_lua, .init = setup_lua, .fini = teardown, .timeout = 120);

Test(dispatch_lua, runs_a_handler)
{
	uint64_t id;

	start();
	save_and_load("a", "function on_issue(event)\n"
			   "  log.info('seen', {action = event.action})\n"
			   "end\n");
	cr_assert(state_is("a", "loaded"), "%s", status("a").error);
	cr_assert_eq(wanted("issue"), 1);
	id = append("a");
	UNTIL(is(id, STORE_DONE));
	assert_record(id, "\"message\":\"seen\"");
	assert_record(id, "\"action\":\"created\"");
}

Test(dispatch_lua, tells_where_a_handler_failed)
{
	uint64_t id;

	start();
	save_and_load("a", "function on_issue(event)\n  error('boom')\nend\n");
	id = append("a");
	UNTIL(is(id, STORE_DEAD));
	cr_assert_eq(seen[id].starts, 3);
	cr_assert(
	    strstr(seen[id].error, "a.lua:2: boom"), "%s", seen[id].error);
	assert_record(id, "\"traceback\":\"");
}

Test(dispatch_lua, stops_an_endless_loop_while_others_go_on)
{
	uint64_t bad, good;

	options.retry_attempts = 1;
	start();
	save("bad", "function on_issue() while true do end end");
	save_and_load("good", "function on_issue() end");
	bad = append("bad");
	UNTIL(is(bad, STORE_RUNNING));
	good = append("good");
	UNTIL(is(good, STORE_DONE));
	UNTIL(is(bad, STORE_DEAD));
	cr_assert(state_is("bad", "loaded"));
	cr_assert(status("bad").slow);
}

Test(dispatch_lua, refuses_a_save_that_does_not_compile)
{
	uint64_t id;

	start();
	save_and_load("a", "function on_issue() end");
	save_and_load("a", "function on_issue(\n");
	cr_assert(state_is("a", "failed"));
	cr_assert(strstr(status("a").error, "a.lua:"), "%s", status("a").error);
	id = append("a");
	UNTIL(is(id, STORE_DONE));
}

Test(dispatch_lua, stops_endless_top_level_code)
{
	uint64_t id;

	start();
	save_and_load("a", "function on_issue() end");
	save_and_load("a", "while true do end");
	cr_assert(state_is("a", "failed"));
	id = append("a");
	UNTIL(is(id, STORE_DONE));
}

Test(dispatch_lua, loads_again_what_requires_a_changed_lib)
{
	uint64_t id;

	options.retry_attempts = 1;
	start();
	scratch_write(&scratch, "scripts/lib/l.lua", "return 'one'");
	save_and_load(
	    "a", "local l = require 'l'\nfunction on_issue() error(l, 0) end");
	cr_assert(state_is("a", "loaded"), "%s", status("a").error);
	scratch_write(&scratch, "scripts/lib/l.lua", "return 'two'");
	update();
	settle();
	id = append("a");
	UNTIL(is(id, STORE_DEAD));
	cr_assert_str_eq(seen[id].error, "two");
	stop();

	/* As it was when it was good. */
	scratch_write(&scratch, "scripts/lib/l.lua", "return (");
	start();
	update();
	settle();
	cr_assert(state_is("a", "failed"));
	id = append("a");
	UNTIL(is(id, STORE_DEAD));
	cr_assert_str_eq(seen[id].error, "two");
}

Test(dispatch_lua, reloads_whoever_needs_a_lib_and_nobody_else)
{
	uint64_t id, alone, other, through;

	options.retry_attempts = 1;
	start();
	scratch_write(&scratch, "scripts/lib/deep.lua", "return 'one'");
	scratch_write(&scratch, "scripts/lib/l.lua", "return require 'deep'");
	scratch_write(&scratch, "scripts/lib/other.lua", "return 'other'");
	save("alone", "function on_issue() end");
	save("other", "require 'other' function on_issue() end");
	save_and_load("through",
	    "local l = require 'l'\nfunction on_issue() error(l, 0) end");
	alone = status("alone").loaded_unix_ms;
	other = status("other").loaded_unix_ms;
	through = status("through").loaded_unix_ms;
	UNTIL(clock_unix_ms() > through);
	scratch_write(&scratch, "scripts/lib/deep.lua", "return 'two'");
	update();
	settle();
	id = append("through");
	UNTIL(is(id, STORE_DEAD));
	cr_assert_str_eq(seen[id].error, "two");
	cr_assert_gt(status("through").loaded_unix_ms, through);
	cr_assert_eq(status("alone").loaded_unix_ms, alone);
	cr_assert_eq(status("other").loaded_unix_ms, other);

	/* One that is deleted: the last good version goes on. */
	cr_assert_eq(unlink(scratch_path(&scratch, "scripts/lib/deep.lua")), 0);
	update();
	settle();
	cr_assert(state_is("through", "failed"));
	cr_assert(strstr(status("through").error, "there is no"), "%s",
	    status("through").error);
	id = append("through");
	UNTIL(is(id, STORE_DEAD));
	cr_assert_str_eq(seen[id].error, "two");
	cr_assert(state_is("other", "loaded"));

	/* And it is well again when the lib is back. */
	scratch_write(&scratch, "scripts/lib/deep.lua", "return 'three'");
	update();
	settle();
	id = append("through");
	UNTIL(is(id, STORE_DEAD));
	cr_assert_str_eq(seen[id].error, "three");
}

Test(dispatch_lua, runs_again_what_a_killed_worker_had)
{
	uint64_t ids[20];
	size_t i;

	start();
	save_and_load("a", "function on_issue() sleep(0.2) end");
	cr_assert(state_is("a", "loaded"), "%s", status("a").error);
	for (i = 0; i < NELEMS(ids); i++)
		ids[i] = append("a");
	UNTIL(status("a").running == NELEMS(ids));
	cr_assert_eq(
	    kill((pid_t)dispatch_worker_pid(dispatch, "worker-1"), SIGKILL), 0);
	for (i = 0; i < NELEMS(ids); i++)
		UNTIL(is(ids[i], STORE_DONE));
	cr_assert_eq(seen[ids[0]].starts, 2);
}

Test(dispatch_lua, drops_and_retries_as_the_handler_says)
{
	uint64_t drop, retry;

	options.retry_attempts = 2;
	start();
	save("d", "function on_issue(event) event:drop('no') end");
	save_and_load("r",
	    "function on_issue(event)\n"
	    "  if event.attempt == 1 then event:retry{after = 0.05} end\n"
	    "end");
	drop = append("d");
	retry = append("r");
	UNTIL(is(drop, STORE_DROPPED) && is(retry, STORE_DONE));
	cr_assert_eq(seen[retry].starts, 2);
}

/* Give the record of a delivery, as JSON that has been parsed. */
static const struct jval *
parsed_record(uint64_t id, struct jdoc *doc, char **ret_text)
{
	struct err err = ERR_INIT;

	*ret_text = record(id);
	cr_assert_eq(jdoc_parse(doc, *ret_text, strlen(*ret_text), NULL, &err),
	    0, "%s in %s", err.msg, *ret_text);
	return jdoc_at(jdoc_gets(jdoc_root(doc), "jobs"), 0);
}

Test(dispatch_lua, keeps_the_record_of_every_run)
{
	const struct jval *job, *run, *call, *line, *step_is;
	struct jdoc doc = {0};
	uint64_t id;
	char *text;

	options.retry_attempts = 2;
	start();
	save_and_load("a",
	    "function on_issue(event)\n"
	    "  step('one', function() return { n = 1 } end)\n"
	    "  local res, why, code = http.get('http://127.0.0.1:9/?k=hush')\n"
	    "  log.warn('said', { why = code, n = event.attempt })\n"
	    "  error('boom')\n"
	    "end\n");
	id = append("a");
	UNTIL(is(id, STORE_DEAD));
	job = parsed_record(id, &doc, &text);
	cr_assert_eq(jdoc_gets(job, "runs")->len, 2, "%s", text);
	run = jdoc_at(jdoc_gets(job, "runs"), 1);
	cr_assert(str_eq(jdoc_get_str(run, "outcome"), STR("error")));
	cr_assert_not_null(memmem(jdoc_get_str(run, "error").data,
	    jdoc_get_str(run, "error").len, "a.lua:5: boom", 13));
	cr_assert_gt(jdoc_get_str(run, "traceback").len, 0);
	cr_assert(jval_is_number(jdoc_gets(run, "cpu_ms")));
	cr_assert_gt(jval_double(jdoc_gets(run, "memory_bytes")), 10000);

	line = jdoc_at(jdoc_gets(run, "log"), 0);
	cr_assert(str_eq(jdoc_get_str(line, "message"), STR("said")));
	cr_assert(str_eq(jdoc_get_str(line, "level"), STR("warn")));
	cr_assert_eq(jval_double(jdoc_gets(jdoc_gets(line, "fields"), "n")), 2);

	cr_assert_eq(jdoc_gets(run, "calls")->len, 1, "%s", text);
	call = jdoc_at(jdoc_gets(run, "calls"), 0);
	cr_assert(str_eq(jdoc_get_str(call, "method"), STR("GET")));
	cr_assert(str_eq(jdoc_get_str(call, "url"),
		      STR("http://127.0.0.1:9/?k=****")),
	    "%s", text);
	cr_assert_eq(jval_kind(jdoc_gets(call, "status")), JDOC_NULL);
	cr_assert_gt(jdoc_get_str(call, "error").len, 0);

	cr_assert_eq(jdoc_gets(job, "steps")->len, 1, "%s", text);
	step_is = jdoc_at(jdoc_gets(job, "steps"), 0);
	cr_assert(str_eq(jdoc_get_str(step_is, "name"), STR("one")));
	cr_assert_eq(
	    jval_double(jdoc_gets(jdoc_gets(step_is, "result"), "n")), 1);
	jdoc_free(&doc);
	free(text);
}

Test(dispatch_lua, keeps_no_more_of_a_run_than_is_worth_it)
{
	const struct jval *job, *run;
	struct jdoc doc = {0};
	uint64_t id;
	char *text;

	start();
	save_and_load("a",
	    "function on_issue(event)\n"
	    "  for i = 1, 1200 do log.info('line') end\n"
	    "  for i = 1, 230 do http.get('http://127.0.0.1:9/' .. i) end\n"
	    "end\n");
	id = append("a");
	UNTIL(is(id, STORE_DONE));
	job = parsed_record(id, &doc, &text);
	run = jdoc_at(jdoc_gets(job, "runs"), 0);
	cr_assert_geq(jdoc_gets(run, "log")->len, 1000);
	cr_assert_leq(jdoc_gets(run, "log")->len, 1001);
	cr_assert_eq(jdoc_gets(run, "calls")->len, 200);
	jdoc_free(&doc);
	free(text);
}

Test(dispatch_lua, answers_what_a_dead_worker_asked_to_nobody)
{
	uint64_t id;

	start();
	save_and_load("a", "function on_issue(event)\n"
			   "  for i = 1, 1000 do kv.incr('n') end\n"
			   "end\n");
	id = append("a");
	UNTIL(is(id, STORE_RUNNING));
	cr_assert_eq(
	    kill((pid_t)dispatch_worker_pid(dispatch, "worker-1"), SIGKILL), 0);
	UNTIL(seen[id].starts == 2);
	UNTIL(is(id, STORE_DONE));
}
