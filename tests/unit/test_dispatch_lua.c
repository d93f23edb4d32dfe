/* The dispatcher with the workers that users have, and handlers in Lua. */

#include <limits.h>
#include <signal.h>

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
