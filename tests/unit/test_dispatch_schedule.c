/* Schedules: the dispatcher with the workers that users have, and a clock of
 * its own. */

#include <limits.h>

#include "unit/dispatch_util.h"

#define T0 1800000000U /* 2027-01-15T08:00:00Z */

static char program[PATH_MAX];
static uint64_t fake_s;
static unsigned int nstored;

static uint64_t
fake_ms(void)
{
	return fake_s * 1000;
}

static void
on_stored(void *cookie, const struct store_append *append)
{
	(void)cookie;
	cr_expect_str_eq(append->resource, "schedule");
	nstored++;
}

static void
setup_schedule(void)
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
	options.unix_ms = fake_ms;
	options.stored = on_stored;
	fake_s = T0;
	nstored = 0;
}

TestSuite(dispatch_schedule, .init = setup_schedule, .fini = teardown,
    .timeout = 120);

static uint64_t
deliveries(void)
{
	struct store_counts counts = {.integration = NULL};

	do_op(&counts.op, STORE_OP_COUNTS);
	return counts.ret_deliveries;
}

/* The next due time of schedule ${i} of script a, in seconds after T0. */
static int64_t
next(size_t i)
{
	struct dispatch_script s = status("a");

	if (i >= s.nschedules || s.schedules[i].next_unix_ms == 0)
		return -1;
	return (int64_t)(s.schedules[i].next_unix_ms / 1000) - T0;
}

/* The clock shows another time: look. */
static void
set_clock(uint64_t seconds_after)
{
	struct err err = ERR_INIT;

	fake_s = T0 + seconds_after;
	cr_assert_eq(dispatch_resume(dispatch, "default", "a", &err), 0);
}

/* Start again, with the clock at another time. */
static void
restart(uint64_t seconds_after)
{
	stop();
	fake_s = T0 + seconds_after;
	start();
	update();
	settle();
	UNTIL(next(0) != -1);
}

#define TICK                                                                   \
	"schedule.every(60, 'tick', function(event)\n"                         \
	"  log.info('ran', {due = event.data.due_at - 1800000000,\n"           \
	"    missed = event.data.missed})\nend)\n"

Test(dispatch_schedule, runs_what_is_due_once)
{
	start();
	save_and_load("a", TICK);
	UNTIL(next(0) == 60);
	set_clock(59);
	set_clock(60);
	UNTIL(is(1, STORE_DONE));
	cr_assert_eq(next(0), 120);
	assert_record(1, "\"due\":60");
	assert_record(1, "\"missed\":0");
	assert_record(1, "\"handler\":\"schedule:tick\"");
	assert_record(1, "\"resource\":\"schedule\"");
	assert_record(1, "\"channel\":\"schedule\"");
	assert_record(1, "\"action\":\"tick\"");
	set_clock(61);
	set_clock(119);
	cr_assert_eq(deliveries(), 1);
	set_clock(120);
	UNTIL(is(2, STORE_DONE));
	cr_assert_eq(deliveries(), 2);
	cr_assert_eq(nstored, 2);
}

Test(dispatch_schedule, after_a_restart_one_run_for_all_that_was_missed)
{
	start();
	save_and_load("a", TICK);
	UNTIL(next(0) == 60);
	restart(60 * 5 + 7);
	UNTIL(is(1, STORE_DONE));
	assert_record(1, "\"due\":300");
	assert_record(1, "\"missed\":4");
	UNTIL(next(0) == 360);

	/* And none for what has run. */
	restart(60 * 5 + 30);
	cr_assert_eq(next(0), 360);
	cr_assert_eq(deliveries(), 1);
}

Test(dispatch_schedule, catches_nothing_up_if_asked)
{
	start();
	save_and_load("a", "schedule.every(300, 'tick', function() end,"
			   " {catch_up = 'none'})");
	UNTIL(next(0) == 300);
	restart(300 * 5 + 61);
	UNTIL(next(0) == 1800);
	cr_assert_eq(deliveries(), 0);
	restart(1800 + 59);
	UNTIL(is(1, STORE_DONE));
}

Test(dispatch_schedule, a_new_rule_begins_anew_and_an_old_one_goes_on)
{
	start();
	save_and_load("a", TICK);
	UNTIL(next(0) == 60);
	fake_s = T0 + 30;
	save_and_load("a", TICK "-- another version\n");
	UNTIL(next(0) == 60);
	save_and_load("a", "schedule.every(90, 'tick', function() end)\n");
	UNTIL(next(0) == 120);
	cr_assert_str_eq(status("a").schedules[0].rule, "every 90");
	save_and_load("a", "schedule.cron('*/5 * * * *', 'tick', print,"
			   "{tz = 'Asia/Kolkata'})\n" TICK);
	cr_assert(state_is("a", "failed"));
	cr_assert(strstr(status("a").error, "a.lua:2: schedule.every: there is"
					    " a schedule \"tick\" already"));
	cr_assert_eq(next(0), 120);
	save_and_load(
	    "a", "schedule.cron('*/5 * * * *', 'five', print)\n" TICK);
	UNTIL(next(0) == 300 && next(1) == 90);
	save_and_load("a", "function on_issue() end");
	UNTIL(status("a").nschedules == 0);
	set_clock(1000);
	cr_assert_eq(deliveries(), 0);
}

Test(dispatch_schedule, says_where_a_time_zone_is_none)
{
	start();
	save_and_load("a", "\n\nschedule.cron('0 9 * * *', 'x', print,"
			   "{tz = 'Europe/Viena'})");
	cr_assert(state_is("a", "failed"));
	cr_assert(strstr(status("a").error,
		      "a.lua:3: there is no time zone 'Europe/Viena', did you "
		      "mean 'Europe/Vienna'?"),
	    "%s", status("a").error);
}

Test(dispatch_schedule, retries_one_that_fails_and_runs_the_next_beside_it)
{
	options.retry_base_ms = options.retry_max_ms = 3600000;
	start();
	save_and_load("a", "schedule.every(60, 'tick', function(event)\n"
			   "  error('no: ' .. event.attempt)\nend)");
	UNTIL(next(0) == 60);
	set_clock(60);
	UNTIL(is(1, STORE_RETRYING));
	cr_assert(strstr(seen[1].error, "a.lua:2: no: 1"), "%s", seen[1].error);
	set_clock(120);
	UNTIL(is(2, STORE_RETRYING));
}

Test(dispatch_schedule, one_that_waits_is_not_joined_by_more)
{
	struct err err = ERR_INIT;

	start();
	save_and_load("a", TICK);
	UNTIL(next(0) == 60);
	cr_assert_eq(dispatch_pause(dispatch, "default", "a", &err), 0);
	fake_s = T0 + 60;
	cr_assert_eq(dispatch_pause(dispatch, "default", "a", &err), 0);
	UNTIL(deliveries() == 1);
	UNTIL(next(0) == 120);
	fake_s = T0 + 600;
	cr_assert_eq(dispatch_pause(dispatch, "default", "a", &err), 0);
	cr_assert_eq(deliveries(), 1);
	set_clock(605);
	UNTIL(is(1, STORE_DONE));
	set_clock(630);
	UNTIL(is(2, STORE_DONE));
	assert_record(2, "\"due\":600");
	assert_record(2, "\"missed\":8");
}

Test(dispatch_schedule, what_is_pending_of_one_that_was_removed_ends)
{
	struct err err = ERR_INIT;

	start();
	save_and_load("a", TICK);
	UNTIL(next(0) == 60);
	cr_assert_eq(dispatch_pause(dispatch, "default", "a", &err), 0);
	fake_s = T0 + 60;
	cr_assert_eq(dispatch_pause(dispatch, "default", "a", &err), 0);
	UNTIL(deliveries() == 1);
	/* on_event is no stand-in for it. */
	save_and_load("a", "function on_event() end");
	cr_assert_eq(dispatch_resume(dispatch, "default", "a", &err), 0);
	UNTIL(is(1, STORE_DROPPED));
	cr_assert_str_eq(
	    seen[1].error, "the script has no schedule \"tick\" any more");
}

Test(dispatch_schedule, a_clock_that_is_set_back_silences_nothing)
{
	start();
	save_and_load("a", TICK);
	UNTIL(next(0) == 60);
	set_clock(86400 * 400);
	UNTIL(is(1, STORE_DONE));
	set_clock(1000);
	UNTIL(next(0) == 1060);
	set_clock(1060);
	UNTIL(is(2, STORE_DONE));
}

Test(dispatch_schedule, a_script_that_is_gone_runs_no_more)
{
	start();
	save_and_load("a", TICK);
	UNTIL(next(0) == 60);
	unsave("a");
	update();
	settle();
	fake_s = T0 + 600;
	UNTIL(status("a").nschedules == 0);
	cr_assert_eq(deliveries(), 0);
	save_and_load("a", TICK);
	UNTIL(next(0) == 660);
	cr_assert_eq(deliveries(), 0);
}
