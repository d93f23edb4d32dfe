/* Claims, outcomes, limits and the end: with a real store and fake workers. */

#include <signal.h>
#include <sqlite3.h>

#include "unit/fakeworker.h"

#include "unit/dispatch_util.h"

TestSuite(dispatch, .init = setup, .fini = teardown, .timeout = 100);

Test(dispatch, runs_a_job_and_writes_down_what_came_of_it)
{
	uint64_t id;
	char *json;

	start();
	save_and_load("a", "on_issue: log 2");
	id = append("a");
	UNTIL(is(id, STORE_DONE));
	json = record(id);
	cr_assert(strstr(json, "\"outcome\":\"done\""), "%s", json);
	cr_assert(strstr(json, "\"message\":\"line 2\""), "%s", json);
	cr_assert(strstr(json, "\"fields\":{\"n\":{\"a\":[1]}}"), "%s", json);
	cr_assert(strstr(json, "\"level\":\"info\""), "%s", json);
	free(json);
	cr_assert_eq(seen[id].starts, 1);
}

Test(dispatch, sends_the_body_as_it_was_received)
{
	uint64_t id;

	options.retry_attempts = 1;
	start();
	save_and_load("a", "on_issue: body");
	id = append("a");
	UNTIL(is(id, STORE_DEAD));
	cr_assert_str_eq(seen[id].error, "{\"action\":\"created\"}");
}

Test(dispatch, retries_what_failed_until_it_is_dead)
{
	struct dispatch_stats stats;
	uint64_t id;

	start();
	save_and_load("a", "on_issue: error scripts/a.lua:3: boom");
	id = append("a");
	UNTIL(is(id, STORE_DEAD));
	cr_assert_eq(seen[id].starts, 3);
	assert_record(id, "scripts/a.lua:3: boom");
	assert_record(id, "stack traceback");
	dispatch_stats(dispatch, &stats);
	cr_assert_eq(stats.failed, 3);
	cr_assert_eq(stats.dead, 1);
	cr_assert_eq(stats.running, 0);
}

Test(dispatch, retries_when_the_script_says)
{
	uint64_t id, from;

	options.retry_attempts = 2;
	start();
	save_and_load("a", "on_issue: retry 150");
	from = clock_mono_ms();
	id = append("a");
	UNTIL(is(id, STORE_DEAD));
	cr_assert_geq(clock_mono_ms() - from, 150);
	cr_assert_eq(seen[id].starts, 2);
	assert_record(id, "\"outcome\":\"retry\"");
}

Test(dispatch, drops_what_the_script_drops)
{
	uint64_t id;

	start();
	save_and_load("a", "on_issue: drop");
	id = append("a");
	UNTIL(is(id, STORE_DROPPED));
	assert_record(id, "not ours");
}

Test(dispatch, takes_another_handler_where_one_is_gone)
{
	uint64_t id;

	start();
	save_and_load("a", "on_event: done");
	id = append("a");
	UNTIL(is(id, STORE_DONE));
}

Test(dispatch, drops_what_has_no_handler_any_more)
{
	uint64_t id, other;

	start();
	save_and_load("a", "on_comment: done\non_error: gone\non_event: gone");
	id = append_to("a", "on_installation", "installation");
	other = append_to("a", "on_error", "error");
	UNTIL(is(id, STORE_DROPPED) && is(other, STORE_DROPPED));
	cr_assert(strstr(seen[id].error, "no handler on_event"), "%s",
	    seen[id].error);
}

Test(dispatch, runs_again_for_free_what_was_not_at_fault)
{
	uint64_t id;

	options.retry_attempts = 1;
	start();
	save_and_load("a", "on_issue: uncharged");
	id = append("a");
	UNTIL(seen[id].starts >= 3);
	save_and_load("a", "on_issue: done");
	UNTIL(is(id, STORE_DONE));
	assert_record(id, "\"attempts\":1");
}

Test(dispatch, kills_a_worker_that_hangs_and_spares_the_others)
{
	struct dispatch_stats stats;
	uint64_t bad, good;

	options.retry_attempts = 1;
	start();
	save("bad", "on_issue: hang");
	save_and_load("good", waiting("go"));
	good = append("good");
	UNTIL(is(good, STORE_RUNNING));
	bad = append("bad");
	UNTIL(is(bad, STORE_DEAD));
	cr_assert_str_eq(seen[bad].error, "killed: its worker hung");
	assert_record(bad, "\"outcome\":\"killed\"");
	UNTIL(seen[good].starts == 2);
	release("go");
	UNTIL(is(good, STORE_DONE));
	assert_record(good, "\"attempts\":1");
	cr_assert(state_is("bad", "loaded"));
	dispatch_stats(dispatch, &stats);
	cr_assert_eq(stats.killed, 1);
}

Test(dispatch, takes_back_a_job_that_its_worker_has_lost)
{
	uint64_t lost, other;

	options.retry_attempts = 2;
	options.lease_ms = 400;
	start();
	save("a", "on_issue: lose");
	save_and_load("b", "on_issue: done");
	lost = append("a");
	UNTIL(is(lost, STORE_DEAD));
	cr_assert(strstr(seen[lost].error, "kept a job longer"), "%s",
	    seen[lost].error);
	cr_assert_eq(seen[lost].starts, 2);
	other = append("b");
	UNTIL(is(other, STORE_DONE));
}

Test(dispatch, ends_a_job_whose_record_cannot_be_kept)
{
	char *path = mem_printf("%s/data/moonpost.db", scratch.dir);
	sqlite3 *db;
	uint64_t id;

	/* Somebody else's hand in the database. */
	start();
	save_and_load("a", waiting("go"));
	id = append("a");
	UNTIL(is(id, STORE_RUNNING));
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	(void)sqlite3_busy_timeout(db, 10000);
	cr_assert_eq(
	    sqlite3_exec(db, "INSERT INTO run (job, n) VALUES (1 << 10, 1)",
		NULL, NULL, NULL),
	    SQLITE_OK);
	(void)sqlite3_close(db);
	release("go");
	UNTIL(is(id, STORE_DONE));
	cr_assert_eq(count(STORE_RUNNING), 0);
	cr_assert_eq(count(STORE_DONE), 1);
	free(path);
}

Test(dispatch, parks_a_script_that_kills_three_workers)
{
	struct err err = ERR_INIT;
	uint64_t id, later;

	options.retry_attempts = 10;
	start();
	save_and_load("a", "on_issue: crash");
	id = append("a");
	UNTIL(state_is("a", "parked"));
	UNTIL(is(id, STORE_RETRYING));
	cr_assert_eq(seen[id].starts, 3);
	cr_assert(strstr(status("a").error, "3 times in a row"));
	cr_assert_eq(wanted("issue"), 1, "its deliveries wait");
	later = append("a");
	settle();
	cr_assert_eq(seen[later].starts, 0);

	/* Resumed, it may try again; saved, it is as good as new. */
	cr_assert_eq(dispatch_resume(dispatch, "default", "a", &err), 0);
	UNTIL(state_is("a", "parked"));
	save_and_load("a", "on_issue: done");
	UNTIL(is(id, STORE_DONE) && is(later, STORE_DONE));
	cr_assert(state_is("a", "loaded"));
}

Test(dispatch, kills_a_worker_that_breaks_the_protocol)
{
	uint64_t id;

	options.retry_attempts = 1;
	start();
	save_and_load("a", "on_issue: babble");
	id = append("a");
	UNTIL(is(id, STORE_DEAD));
	cr_assert(
	    strstr(seen[id].error, "broke the protocol"), "%s", seen[id].error);
}

Test(dispatch, charges_nobody_for_a_worker_that_was_killed)
{
	uint64_t id;
	long pid;

	options.retry_attempts = 1;
	start();
	save_and_load("a", waiting("go"));
	id = append("a");
	UNTIL(access(scratch_path(&scratch, "go.on"), F_OK) == 0);
	UNTIL(is(id, STORE_RUNNING));
	pid = dispatch_worker_pid(dispatch, "worker-1");
	cr_assert_gt(pid, 0);
	cr_assert_eq(kill((pid_t)pid, SIGKILL), 0);
	UNTIL(seen[id].starts == 2);
	cr_assert_neq(dispatch_worker_pid(dispatch, "worker-1"), pid);
	release("go");
	UNTIL(is(id, STORE_DONE));
	assert_record(id, "\"attempts\":1");
	cr_assert(state_is("a", "loaded"));
}

Test(dispatch, tries_one_at_a_time_after_twenty_failures)
{
	uint64_t ids[30];
	size_t i;

	options.retry_attempts = 1000;
	start();
	save_and_load("a", "on_issue: error no");
	for (i = 0; i < NELEMS(ids); i++)
		ids[i] = append("a");
	UNTIL(status("a").throttled);
	UNTIL(running == 0);
	most_running = 0;
	for (i = 0; i < 200; i++)
		step();
	cr_assert_eq(most_running, 1);
	save_and_load("a", "on_issue: done");
	for (i = 0; i < NELEMS(ids); i++)
		UNTIL(is(ids[i], STORE_DONE));
	cr_assert_not(status("a").throttled);
}

Test(dispatch, keeps_to_the_concurrency_of_a_script)
{
	uint64_t ids[7];
	size_t i;

	options.concurrency = 3;
	start();
	save_and_load("a", waiting("go"));
	for (i = 0; i < NELEMS(ids); i++)
		ids[i] = append("a");
	UNTIL(status("a").running == 3);
	for (i = 0; i < 20; i++)
		step();
	cr_assert_eq(most_running, 3);
	release("go");
	for (i = 0; i < NELEMS(ids); i++)
		UNTIL(is(ids[i], STORE_DONE));
	cr_assert_eq(most_running, 3);
}

Test(dispatch, gives_every_script_its_turn)
{
	uint64_t id, last = 0;
	struct err err = ERR_INIT;
	size_t i;

	start();
	save("flood", "on_issue: done");
	save_and_load("quiet", "on_issue: done");
	cr_assert_eq(dispatch_pause(dispatch, "default", "flood", &err), 0);
	for (i = 0; i < 400; i++)
		last = append("flood");
	cr_assert_eq(dispatch_resume(dispatch, "default", "flood", &err), 0);
	id = append("quiet");
	UNTIL(is(id, STORE_DONE) && is(last, STORE_DONE));
	cr_assert_lt(seen[id].order, 300);
}

Test(dispatch, answers_for_secrets)
{
	uint64_t id;

	options.retry_attempts = 1;
	start();
	save("a", "on_issue: secret KEY");
	save_and_load("b", "on_issue: secret NONE");
	id = append("a");
	UNTIL(is(id, STORE_DEAD));

	/* What is kept of the run does not show it. */
	cr_assert_str_eq(seen[id].error, "value=****-default why=none");
	id = append("b");
	UNTIL(is(id, STORE_DEAD));
	cr_assert_str_eq(seen[id].error, "value=none why=no secret NONE");
}

Test(dispatch, keeps_a_thousand_log_lines_of_a_run)
{
	uint64_t id;
	char *json;

	start();
	save_and_load("a", "on_issue: log 1005");
	id = append("a");
	UNTIL(is(id, STORE_DONE));
	json = record(id);
	cr_assert(strstr(json, "\"message\":\"line 6\""));
	cr_assert_null(strstr(json, "\"message\":\"line 5\""));
	cr_assert(strstr(json, PROTO_LOG_LIMIT));
	free(json);
}

Test(dispatch, moves_a_script_that_uses_much_cpu_to_the_slow_lane)
{
	uint64_t a, b;

	start();
	save("fast", "on_issue: done");
	save_and_load("a", "on_issue: slow");
	a = append("a");
	UNTIL(is(a, STORE_DONE));
	UNTIL(status("a").slow);
	settle();
	cr_assert_gt(dispatch_worker_pid(dispatch, "slow"), 0);
	a = append("a");
	b = append("fast");
	UNTIL(is(a, STORE_DONE) && is(b, STORE_DONE));
	cr_assert_not(status("fast").slow);

	/* A new version is given a chance among the others. */
	save_and_load("a", "on_issue: done");
	cr_assert_not(status("a").slow);
	a = append("a");
	UNTIL(is(a, STORE_DONE));
}

Test(dispatch, holds_the_jobs_of_a_paused_script_over_a_restart)
{
	struct err err = ERR_INIT;
	uint64_t id;

	start();
	save_and_load("a", "on_issue: done");
	cr_assert_eq(dispatch_pause(dispatch, "default", "a", &err), 0);
	id = append("a");
	cr_assert_eq(dispatch_pause(dispatch, "default", "x", &err), -1);
	cr_assert_eq(err.code, ERR_NOT_FOUND);
	stop();
	start();
	update();
	settle();
	cr_assert(status("a").paused);
	cr_assert_eq(seen[id].starts, 0);
	cr_assert_eq(dispatch_resume(dispatch, "default", "a", &err), 0);
	UNTIL(is(id, STORE_DONE));
}

Test(dispatch, lets_what_runs_end_before_it_stops)
{
	uint64_t id, later;

	start();
	save_and_load("a", waiting("go"));
	id = append("a");
	UNTIL(is(id, STORE_RUNNING));
	drained = 0;
	dispatch_drain(dispatch, 30000, on_settled, &drained);
	later = append("a");
	step();
	cr_assert_not(drained);
	release("go");
	UNTIL(drained);
	cr_assert(is(id, STORE_DONE));
	cr_assert_eq(seen[later].starts, 0);
	cr_assert_eq(count(STORE_PENDING), 1);
	dispatch_free(dispatch);
	dispatch = NULL;
	store_close(store);
	store = NULL;
}

Test(dispatch, puts_back_what_does_not_end_in_time)
{
	uint64_t id;

	start();
	save_and_load("a", waiting("go"));
	id = append("a");
	UNTIL(is(id, STORE_RUNNING));
	stop();
	cr_assert(is(id, STORE_PENDING));
	start();
	release("go");
	update();
	UNTIL(is(id, STORE_DONE));
	assert_record(id, "\"attempts\":1");
}

Test(dispatch, stops_while_nothing_has_started)
{
	start();
	stop();
	start();
	dispatch_free(dispatch);
	dispatch = NULL;
	store_close(store);
	store = NULL;
	dispatch_free(NULL);
}
