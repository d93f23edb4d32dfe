/* What scripts ask of the host, by topic: with a real store and fake workers.
 */

#include <signal.h>

#include "unit/fakeworker.h"

#include "unit/dispatch_util.h"

static struct dispatch_ask *open_asks[8];
static unsigned int nasked;

/* "echo" is answered at once, "refuse" with an error, the rest later. */
static void
on_ask(void *cookie, struct dispatch_ask *ask)
{
	struct err err = ERR_INIT;

	(void)cookie;
	nasked++;
	cr_assert_str_eq(ask->integration, "default");
	cr_assert_str_eq(ask->script, "a");
	cr_assert_neq(ask->job, 0);
	cr_assert_neq(ask->delivery, 0);
	if (strcmp(ask->topic, "echo") == 0) {
		dispatch_answer(ask, ask->args_json, NULL);
	} else if (strcmp(ask->topic, "refuse") == 0) {
		(void)err_set(&err, ERR_UNAUTH, "not for you");
		dispatch_answer(ask, (struct str){NULL, 0}, &err);
	} else {
		open_asks[nasked - 1] = ask;
	}
}

static void
setup_asks(void)
{
	setup();
	options.ask = on_ask;
	options.retry_attempts = 1;
	start();
}

TestSuite(asks, .init = setup_asks, .fini = teardown, .timeout = 100);

static const char *
outcome_of(const char *source)
{
	uint64_t id;

	save_and_load("a", source);
	id = append("a");
	UNTIL(is(id, STORE_DEAD));
	return seen[id].error;
}

Test(asks, are_answered_with_json)
{
	cr_expect_str_eq(outcome_of("on_issue: ask echo {\"n\":1}"),
	    "code=0 json={\"n\":1} error=");
}

Test(asks, are_refused_with_a_code)
{
	char *wanted =
	    mem_printf("code=%d json= error=not for you", ERR_UNAUTH);

	cr_expect_str_eq(outcome_of("on_issue: ask refuse {}"), wanted);
	free(wanted);
}

Test(asks, may_be_answered_later)
{
	uint64_t id;

	save_and_load("a", "on_issue: ask later {}");
	id = append("a");
	UNTIL(nasked == 1);
	cr_assert(is(id, STORE_RUNNING));
	dispatch_answer(open_asks[0], STR("7"), NULL);
	UNTIL(is(id, STORE_DEAD));
	cr_expect_str_eq(seen[id].error, "code=0 json=7 error=");
}

Test(asks, of_a_dead_worker_are_answered_to_nobody)
{
	uint64_t id;

	options.retry_attempts = 1;
	save_and_load("a", "on_issue: ask later {}");
	id = append("a");
	UNTIL(nasked == 1);
	cr_assert_eq(
	    kill((pid_t)dispatch_worker_pid(dispatch, "worker-1"), SIGKILL), 0);
	UNTIL(is(id, STORE_DEAD) || nasked == 2);
	dispatch_answer(open_asks[0], STR("7"), NULL);
	if (nasked == 2)
		dispatch_answer(open_asks[1], STR("8"), NULL);
	UNTIL(is(id, STORE_DEAD));
}

Test(asks, without_an_object_are_no_protocol)
{
	cr_expect_not_null(
	    strstr(outcome_of("on_issue: ask echo [1]"), "killed"));
	cr_expect_eq(nasked, 0);
}
