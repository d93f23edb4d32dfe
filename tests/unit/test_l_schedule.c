#include "unit/script_fixture.h"

TestSuite(l_schedule, .init = fix_setup, .fini = fix_teardown);

static void
assert_refused(const char *source, const char *error)
{
	fix_try_load(source);
	cr_expect_null(bundle, "%s", source);
	cr_expect(loaded.error != NULL && strstr(loaded.error, error) != NULL,
	    "%s: %s", source, loaded.error);
}

/* Run the function of a schedule as job ${id}. */
static struct proto_outcome *
run_schedule(uint64_t id, const char *name)
{
	char integration[] = "default", resource[] = "schedule";
	char delivery[] = "42";
	char *handler = mem_printf("schedule:%s", name);
	struct proto_run run = {.bundle = 7,
	    .handler = handler,
	    .delivery = delivery,
	    .integration = integration,
	    .resource = resource,
	    .channel = resource,
	    .action = (char *)(uintptr_t)name,
	    .received_unix_ms = 1700000000123,
	    .attempt = 1,
	    .headers_json = STR("{}"),
	    .body = STR("{\"action\":\"tick\",\"data\":{\"name\":\"tick\","
			"\"due_at\":1700000000,\"missed\":2}}")};

	bundle_run(bundle, id, &run);
	fix_wait(id);
	free(handler);
	return &outcomes[id];
}

Test(l_schedule, declares_while_the_script_loads)
{
	fix_load("schedule.every('5m', 'poll', function() end)\n"
		 "schedule.cron('0 9 * * mon-fri', 'digest', function() end,\n"
		 "  {tz = 'Europe/Vienna', catch_up = 'none'})\n"
		 "schedule.every(1, 'täglich? ja', print, {catch_up='once'})");
	cr_assert_not_null(loaded.declared);
	cr_expect(
	    strstr(loaded.declared, "\"every\":300"), "%s", loaded.declared);
	cr_expect(strstr(loaded.declared, "\"at\":\"scripts/on_x.lua:1\""));
	cr_expect(strstr(loaded.declared, "\"at\":\"scripts/on_x.lua:2\""));
	cr_expect(strstr(loaded.declared, "\"cron\":\"0 9 * * mon-fri\""));
	cr_expect(strstr(loaded.declared, "\"tz\":\"Europe/Vienna\""));
	cr_expect(strstr(loaded.declared, "\"catch_up\":\"none\""));
	cr_expect(strstr(loaded.declared, "\"name\":\"täglich? ja\""));
}

Test(l_schedule, runs_the_function_with_an_event)
{
	struct proto_outcome *o;

	fix_load("schedule.every('5m', 'tick', function(event)\n"
		 "  log.info('ran', {n = event.data.name, r = event.resource,\n"
		 "    m = event.data.missed, a = event.action,\n"
		 "    t = math.type(event.data.due_at)})\n"
		 "  sleep(0)\n"
		 "  event:drop('enough')\n"
		 "end)");
	o = run_schedule(1, "tick");
	cr_assert_eq(o->result, PROTO_DROPPED, "%s", o->error);
	cr_expect(strstr(logged.data, "n=\"tick\""), "%s", logged.data);
	cr_expect(strstr(logged.data, "r=\"schedule\""));
	cr_expect(strstr(logged.data, "m=2"));
	cr_expect(strstr(logged.data, "a=\"tick\""));
	cr_expect(strstr(logged.data, "t=\"integer\""));
}

Test(l_schedule, one_that_is_not_there_is_gone)
{
	fix_load("function tick() end function on_event() end");
	cr_assert_eq(run_schedule(1, "tick")->result, PROTO_GONE);
	fix_load("schedule.every('5m', 'tack', function() end)");
	cr_assert_eq(run_schedule(2, "tick")->result, PROTO_GONE);
}

Test(l_schedule, says_what_is_wrong_and_where)
{
	static const char *const bad[][2] = {
	    {"\nschedule.cron('0 99 * * *', 'a', print)",
		"scripts/on_x.lua:2: schedule.cron \"0 99 * * *\": column 3: "
		"99 is no hour"},
	    {"schedule.every('5x', 'a', print)",
		"scripts/on_x.lua:1: the interval of schedule.every must be "
		"seconds or text"},
	    {"schedule.every('1500ms', 'a', print)",
		"scripts/on_x.lua:1: the interval of schedule.every is whole "
		"seconds"},
	    {"schedule.every(0, 'a', print)", "at least one"},
	    {"schedule.every(-1, 'a', print)", "must be seconds"},
	    {"schedule.every('5m', nil, print)",
		"scripts/on_x.lua:1: schedule.every: the name must be text"},
	    {"schedule.every('5m', print)", "the name must be text"},
	    {"schedule.every('5m', '', print)", "a name has 1 to 100 bytes"},
	    {"schedule.every('5m', ('x'):rep(101), print)", "1 to 100 bytes"},
	    {"schedule.every('5m', 'a\\n', print)",
		"without control characters"},
	    {"schedule.every('5m', '\\xff', print)", "a name is UTF-8"},
	    {"schedule.every('5m', 'a', 'print')",
		"what to run must be a function, not string"},
	    {"schedule.every('5m', 'a', print, 'x')", "options are a table"},
	    {"schedule.every('5m', 'a', print, {tz = 'UTC'})",
		"unknown option 'tz'"},
	    {"schedule.cron('* * * * *', 'a', print, {zt = 'UTC'})",
		"unknown option 'zt': did you mean 'tz'?"},
	    {"schedule.cron('* * * * *', 'a', print, {tz = 1})",
		"tz is the name of a time zone"},
	    {"schedule.cron('* * * * *', 'a', print, {catch_up = 'all'})",
		"catch_up is \"once\" (the default) or \"none\""},
	    {"schedule.cron(5, 'a', print)", "the expression is text"},
	    {"schedule.every(5, 'a', print)\nschedule.every(9, 'a', print)",
		"scripts/on_x.lua:2: schedule.every: there is a schedule \"a\" "
		"already in this script"},
	    {"for i = 1, 101 do schedule.every(5, 's' .. i, print) end",
		"a script has at most 100 schedules"},
	};
	size_t i;

	for (i = 0; i < NELEMS(bad); i++)
		assert_refused(bad[i][0], bad[i][1]);
}

Test(l_schedule, not_in_a_handler)
{
	fix_bad("schedule.every(5, 'a', print)",
	    "schedule.every can be called only while the script loads");
}
