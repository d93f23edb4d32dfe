/* Requests to UI components: every way in which one is answered, with a real
 * store and fake workers. */

#include <signal.h>

#include "unit/fakeworker.h"

#include "unit/dispatch_util.h"

TestSuite(invoke, .init = setup, .fini = teardown, .timeout = 100);

#define FORM                                                                   \
	"declare {\"ui\":[{\"kind\":\"alert_action\",\"title\":\"x\","         \
	"\"fields\":[]}]}\n"
#define LONG_MS 30000

/* The replies in the order in which they came. */
static struct {
	int n;
	int status;
	char body[300];
	char error[300];
	char script[50];
	char location[50];
	char log[3000];
	const void *cookie;
} got;

static void
put(char *to, size_t size, struct str from)
{
	(void)snprintf(to, size, "%.*s", (int)from.len,
	    from.data == NULL ? "" : from.data);
}

static void
on_reply(void *cookie, const struct dispatch_reply *reply)
{
	got.n++;
	got.status = reply->status;
	got.cookie = cookie;
	put(got.body, sizeof(got.body), reply->body);
	put(got.error, sizeof(got.error), str_of(reply->error));
	put(got.script, sizeof(got.script), str_of(reply->script));
	put(got.location, sizeof(got.location), str_of(reply->location));
	put(got.log, sizeof(got.log), reply->log_json);
}

static void
ask_for(const char *route, uint64_t deadline_ms)
{
	const struct dispatch_request request = {
	    .integration = "default",
	    .route = route,
	    .request_json = STR("{\"fields\":[]}"),
	    .deadline_ms = deadline_ms,
	    .done = on_reply,
	    .cookie = &got,
	};

	dispatch_invoke(dispatch, &request);
}

/* Ask, and wait for the answer. */
static void
ask(uint64_t deadline_ms)
{
	int before = got.n;

	ask_for("alert-rule-action", deadline_ms);
	UNTIL(got.n > before);
	cr_assert_eq(got.n, before + 1);
	cr_assert_eq(got.cookie, &got);
}

/* A script that waits for release("go"), as text. */
static const char *
waits(void)
{
	static char text[600];

	(void)snprintf(text, sizeof(text), FORM "ui: wait %s/go", scratch.dir);
	return text;
}

static int
waits_by_now(void)
{
	return access(scratch_path(&scratch, "go.on"), F_OK) == 0;
}

static unsigned int
killed(void)
{
	struct dispatch_stats stats;

	dispatch_stats(dispatch, &stats);
	return stats.killed;
}

Test(invoke, answers_what_the_script_answers)
{
	start();
	save_and_load("a",
	    FORM "ui: answer {\"status\":400,\"body\":{\"message\":\"no\"}}");
	ask(LONG_MS);
	cr_expect_eq(got.status, 400);
	cr_expect_str_eq(got.body, "{\"message\":\"no\"}");
	cr_expect_str_eq(got.script, "a");
	cr_expect_str_eq(got.error, "");
	cr_expect_str_eq(got.location, "");
}

Test(invoke, answers_with_an_address_and_what_was_logged)
{
	start();
	save_and_load("a", FORM "ui: answer {\"status\":302,\"body\":{},"
				"\"location\":\"https://x.example/\"}");
	ask(LONG_MS);
	cr_expect_eq(got.status, 302);
	cr_expect_str_eq(got.location, "https://x.example/");

	save_and_load("a", FORM "ui: log 2");
	ask(LONG_MS);
	cr_expect_eq(got.status, 200);
	cr_expect(strstr(got.log, "line 1") && strstr(got.log, "line 2"), "%s",
	    got.log);
}

Test(invoke, nobody_declares_it_404)
{
	start();
	save_and_load("a", FORM "ui: log 1");
	ask_for("issue-link/create", LONG_MS);
	/* At once, not from the loop. */
	cr_assert_eq(got.n, 1);
	cr_expect_eq(got.status, 404);
	cr_expect(strstr(got.body, "\"not_found\"") != NULL, "%s", got.body);
	cr_expect_str_eq(got.script, "");

	unsave("a");
	update();
	ask_for("alert-rule-action", LONG_MS);
	cr_assert_eq(got.n, 2);
	cr_expect_eq(got.status, 404);
}

Test(invoke, a_script_that_fails_502_names_nothing_of_it)
{
	start();
	save_and_load("a", FORM "ui: error scripts/a.lua:3: boom");
	ask(LONG_MS);
	cr_expect_eq(got.status, 502);
	cr_expect(
	    strstr(got.body, "\"script_failed\"") != NULL, "%s", got.body);
	cr_expect_null(strstr(got.body, "a.lua"));
	cr_expect_str_eq(got.error, "scripts/a.lua:3: boom");
}

Test(invoke, an_answer_that_is_none_502)
{
	static const char *const answers[] = {"no json", "[]", "{}",
	    "{\"status\":200}", "{\"status\":\"200\",\"body\":{}}",
	    "{\"status\":199,\"body\":{}}", "{\"status\":600,\"body\":{}}",
	    "{\"status\":2e2,\"body\":{}}"};
	char text[300];
	size_t i;

	start();
	for (i = 0; i < NELEMS(answers); i++) {
		(void)snprintf(
		    text, sizeof(text), FORM "ui: answer %s", answers[i]);
		save_and_load("a", text);
		ask(LONG_MS);
		cr_expect_eq(got.status, 502, "%s", answers[i]);
	}
}

Test(invoke, too_late_504_and_the_worker_lives_on)
{
	start();
	save_and_load("a", waits());
	ask(50);
	cr_expect_eq(got.status, 504);
	cr_expect(strstr(got.body, "\"timeout\"") != NULL, "%s", got.body);
	cr_expect_str_eq(got.error, "the script did not answer in time");

	/* Its late answer is nobody's. */
	UNTIL(waits_by_now());
	release("go");
	save_and_load("a", FORM "ui: log 1");
	ask(LONG_MS);
	cr_expect_eq(got.status, 200);
	cr_expect_eq(killed(), 0);
}

Test(invoke, a_script_that_sees_that_it_is_late_504)
{
	start();
	save_and_load("a", FORM "ui: late sleep is too long");
	ask(LONG_MS);
	cr_expect_eq(got.status, 504);
	cr_expect(strstr(got.body, "\"timeout\"") != NULL, "%s", got.body);
	cr_expect_str_eq(got.error, "sleep is too long");
}

Test(invoke, waits_for_a_script_that_is_not_ready_504)
{
	start();
	/* There was one, which has its routes; now nothing serves. */
	save_and_load("a", FORM "ui: crash");
	while (!state_is("a", "parked"))
		ask(LONG_MS);
	ask(50);
	cr_expect_eq(got.status, 504);
	cr_expect_str_eq(got.error, "the script was not ready");
}

Test(invoke, what_waits_is_sent_when_the_script_is_ready)
{
	pid_t pid;

	start();
	save_and_load("a", FORM "ui: log 1");
	pid = (pid_t)dispatch_worker_pid(dispatch, "worker-1");
	cr_assert_gt(pid, 0);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	UNTIL(dispatch_worker_pid(dispatch, "worker-1") != pid);
	ask_for("alert-rule-action", LONG_MS);
	cr_assert_eq(got.n, 0);
	UNTIL(got.n == 1);
	cr_expect_eq(got.status, 200);
}

Test(invoke, its_worker_dies_meanwhile_502)
{
	start();
	save_and_load("a", FORM "ui: crash");
	ask(LONG_MS);
	cr_expect_eq(got.status, 502);
	cr_expect(
	    strstr(got.error, "its worker crashed") != NULL, "%s", got.error);
	cr_expect_eq(killed(), 1);

	save_and_load("a", FORM "ui: hang");
	ask(LONG_MS);
	cr_expect_eq(got.status, 502);
	cr_expect(
	    strstr(got.error, "its worker hung") != NULL, "%s", got.error);

	save_and_load("a", FORM "ui: babble");
	ask(LONG_MS);
	cr_expect_eq(got.status, 502);
	cr_expect(
	    strstr(got.error, "broke the protocol") != NULL, "%s", got.error);
}

Test(invoke, three_crashes_in_a_row_park_the_script)
{
	int i;

	start();
	save_and_load("a", FORM "ui: crash");
	for (i = 0; i < 3; i++) {
		cr_expect_not(state_is("a", "parked"));
		ask(LONG_MS);
		cr_expect_eq(got.status, 502);
	}
	cr_expect(state_is("a", "parked"));
}

Test(invoke, who_only_waited_there_is_not_charged)
{
	/* One that crashes is moved away from the others: each does it once. */
	static const char *const crashing[] = {"b", "c", "d"};
	size_t i;

	options.retry_attempts = 1;
	start();
	save_and_load("a", waits());
	for (i = 0; i < NELEMS(crashing); i++) {
		save_and_load(crashing[i], "on_issue: crash");
		ask_for("alert-rule-action", LONG_MS);
		UNTIL(waits_by_now());
		cr_assert_eq(unlink(scratch_path(&scratch, "go.on")), 0);
		(void)append(crashing[i]);
		UNTIL(got.n == (int)i + 1);
		cr_expect_eq(got.status, 502);
		UNTIL(status("a").pid > 0);
	}
	cr_expect(state_is("a", "loaded"));
}

Test(invoke, a_version_that_is_gone_is_asked_anew)
{
	start();
	save_and_load("a", FORM "ui: gone");
	ask_for("alert-rule-action", LONG_MS);
	save_and_load("a", FORM "ui: log 1");
	UNTIL(got.n == 1);
	cr_expect_eq(got.status, 200);
}

Test(invoke, a_paused_script_answers_all_the_same)
{
	struct err err = ERR_INIT;

	start();
	save_and_load("a", FORM "ui: log 1");
	cr_assert_eq(dispatch_pause(dispatch, "default", "a", &err), 0);
	ask(LONG_MS);
	cr_expect_eq(got.status, 200);
}

Test(invoke, one_that_is_slow_moves_to_the_slow_lane)
{
	start();
	save_and_load("a", FORM "ui: slow");
	ask(LONG_MS);
	cr_expect_eq(got.status, 200);
	cr_expect(status("a").slow);
	ask(LONG_MS);
	cr_expect_eq(got.status, 200);
}

Test(invoke, while_it_stops_503)
{
	start();
	save_and_load("a", waits());
	ask_for("alert-rule-action", LONG_MS);
	UNTIL(waits_by_now());
	dispatch_drain(dispatch, LONG_MS, on_settled, &drained);
	ask_for("alert-rule-action", LONG_MS);
	cr_assert_eq(got.n, 1);
	cr_expect_eq(got.status, 503);
	cr_expect(strstr(got.body, "\"stopping\"") != NULL, "%s", got.body);

	/* What runs is waited for. */
	cr_expect_not(drained);
	release("go");
	UNTIL(got.n == 2);
	cr_expect_eq(got.status, 200);
	UNTIL(drained);
	dispatch_free(dispatch);
	dispatch = NULL;
	store_close(store);
	store = NULL;
}
