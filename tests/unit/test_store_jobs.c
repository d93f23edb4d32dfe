#include "store_util.h"

TestSuite(store_jobs, .init = util_setup, .fini = util_teardown, .timeout = 60);

Test(store_jobs, a_claim_has_all_that_was_appended)
{
	struct util_delivery d;
	struct store_claim c;
	const struct store_job *job;
	uint64_t id;

	util_open();
	util_delivery(&d, "jira", "{\"a\":1}");
	d.op.request_id = "r-1";
	d.op.warnings_json = STR("[\"w\"]");
	d.jobs[0].order_key = STR("k");
	id = util_append(&d);
	cr_assert_eq(id, 1);
	util_claim(&c, "jira", 10);
	cr_assert_eq(c.ret_njobs, 1);
	job = c.ret_jobs[0];
	cr_assert_eq(job->delivery_id, id);
	cr_assert_str_eq(job->integration, "default");
	cr_assert_str_eq(job->script, "jira");
	cr_assert_str_eq(job->handler, "on_issue");
	cr_assert_str_eq(job->channel, "issue");
	cr_assert_str_eq(job->action, "created");
	cr_assert_str_eq(job->request_id, "r-1");
	cr_assert(str_eq(job->body, STR("{\"a\":1}")));
	cr_assert(str_eq(job->headers_json, STR("{\"Host\":\"x\"}")));
	cr_assert(str_eq(job->warnings_json, STR("[\"w\"]")));
	cr_assert(str_eq(job->order_key, STR("k")));
	cr_assert_eq(job->received_unix_ms, d.op.received_unix_ms);
	cr_assert_eq(job->attempt, 1);
	cr_assert_eq(job->nsteps, 0);
	cr_assert_eq(c.ret_next_unix_ms, 0);
	store_claim_clear(&c);
	cr_assert_eq(util_claimable("jira"), 0);
}

Test(store_jobs, a_job_can_be_taken_out_of_a_claim)
{
	struct store_claim c;
	struct store_job *job;

	util_open();
	(void)util_add("s", "{}", NULL);
	(void)util_add("s", "{}", NULL);
	util_claim(&c, "s", 2);
	job = c.ret_jobs[1];
	c.ret_jobs[1] = NULL;
	store_claim_clear(&c);
	cr_assert(str_eq(job->body, STR("{}")));
	store_job_free(job);
	store_job_free(NULL);
}

Test(store_jobs, the_oldest_come_first_and_only_those_of_the_script)
{
	struct store_claim c;
	int i;

	util_open();
	for (i = 0; i < 10; i++)
		(void)util_add(i % 2 == 0 ? "a" : "b", "{}", NULL);
	util_claim(&c, "a", 3);
	cr_assert_eq(c.ret_njobs, 3);
	cr_assert_eq(c.ret_jobs[0]->delivery_id, 1);
	cr_assert_eq(c.ret_jobs[1]->delivery_id, 3);
	cr_assert_eq(c.ret_jobs[2]->delivery_id, 5);
	store_claim_clear(&c);
	cr_assert_eq(util_claimable("a"), 2);
	cr_assert_eq(util_claimable("b"), 5);
	cr_assert_eq(util_claimable("nobody"), 0);
}

Test(store_jobs, two_handlers_of_a_script_are_two_jobs)
{
	struct util_delivery d;

	util_open();
	util_delivery(&d, "a", "{}");
	d.jobs[1].script = "a";
	d.jobs[1].handler = "fire";
	d.op.njobs = 2;
	(void)util_append(&d);
	cr_assert_eq(util_claimable("a"), 2);
}

Test(store_jobs, integrations_are_apart)
{
	struct util_delivery d;
	struct store_claim c;

	util_open();
	util_delivery(&d, "a", "{}");
	d.op.integration = "other";
	(void)util_append(&d);
	cr_assert_eq(util_claimable("a"), 0);
	(void)memset(&c, 0, sizeof(c));
	c.integration = "other";
	c.script = "a";
	c.max = 1;
	cr_assert_eq(util_do(&c.op, STORE_OP_CLAIM), 0);
	cr_assert_eq(c.ret_njobs, 1);
	store_claim_clear(&c);
}

Test(store_jobs, a_finished_job_stays_finished)
{
	struct store_counts n;
	uint64_t job;

	util_open();
	(void)util_add("s", "{}", NULL);
	job = util_claim_one("s", NULL);
	util_counts(&n, "s");
	cr_assert_eq(n.ret_jobs[STORE_RUNNING], 1);
	cr_assert_eq(n.ret_jobs[STORE_PENDING], 0);
	cr_assert_eq(util_finish(job, STORE_DONE, 0), 0);
	cr_assert_eq(util_finish(job, STORE_DONE, 0), -1);
	util_counts(&n, "s");
	cr_assert_eq(n.ret_jobs[STORE_RUNNING], 0);
	cr_assert_eq(n.ret_jobs[STORE_DONE], 1);
	util_close();
	util_open();
	cr_assert_eq(util_claimable("s"), 0);
	util_counts(&n, NULL);
	cr_assert_eq(n.ret_jobs[STORE_DONE], 1);
	cr_assert_eq(n.ret_deliveries, 1);
	cr_assert_gt(n.ret_bytes, 0);
}

Test(store_jobs, only_a_running_job_can_be_finished)
{
	struct store_finish f;

	util_open();
	(void)util_add("s", "{}", NULL);
	(void)memset(&f, 0, sizeof(f));
	f.job_id = 1 << 10;
	f.state = STORE_DONE;
	cr_assert_eq(util_do(&f.op, STORE_OP_FINISH), -1);
	cr_assert_eq(f.op.err.code, ERR_NOT_FOUND);
	f.job_id = util_claim_one("s", NULL);
	f.state = STORE_UNHANDLED;
	cr_assert_eq(util_do(&f.op, STORE_OP_FINISH), -1);
	cr_assert_eq(f.op.err.code, ERR_INVALID);
	f.state = STORE_DEAD;
	cr_assert_eq(util_do(&f.op, STORE_OP_FINISH), 0);
}

Test(store_jobs, a_retry_comes_when_it_is_due_and_counts)
{
	struct store_claim c;
	uint64_t job, later = clock_unix_ms() + HOUR_MS;

	util_open();
	(void)util_add("s", "{}", NULL);
	job = util_claim_one("s", NULL);
	cr_assert_eq(util_finish(job, STORE_RETRYING, later), 0);
	util_claim(&c, "s", 10);
	cr_assert_eq(c.ret_njobs, 0);
	cr_assert_eq(c.ret_next_unix_ms, later);
	store_claim_clear(&c);

	(void)util_add("s", "{}", NULL);
	job = util_claim_one("s", NULL);
	cr_assert_eq(util_finish(job, STORE_RETRYING, clock_unix_ms()), 0);
	util_claim(&c, "s", 10);
	cr_assert_eq(c.ret_njobs, 1);
	cr_assert_eq(c.ret_jobs[0]->attempt, 2);
	cr_assert_eq(c.ret_next_unix_ms, later);
	store_claim_clear(&c);
	cr_assert_eq(util_claimable("s"), 0);
}

Test(store_jobs, a_job_that_is_put_back_is_as_before)
{
	struct store_claim c;
	uint64_t job;

	util_open();
	(void)util_add("s", "{}", NULL);
	(void)util_add("s", "{}", NULL);
	job = util_claim_one("s", NULL);
	(void)util_claim_one("s", NULL);
	cr_assert_eq(util_finish(job, STORE_PENDING, 0), 0);
	util_claim(&c, "s", 10);
	cr_assert_eq(c.ret_njobs, 1);
	cr_assert_eq(c.ret_jobs[0]->id, job);
	cr_assert_eq(c.ret_jobs[0]->attempt, 1);
	store_claim_clear(&c);

	/* The same for one that is retried. */
	cr_assert_eq(util_finish(job, STORE_RETRYING, 1), 0);
	cr_assert_eq(util_claim_one("s", NULL), job);
	cr_assert_eq(util_finish(job, STORE_PENDING, 0), 0);
	util_claim(&c, "s", 10);
	cr_assert_eq(c.ret_njobs, 1);
	cr_assert_eq(c.ret_jobs[0]->attempt, 2);
	store_claim_clear(&c);
}

Test(store_jobs, running_jobs_run_again_after_a_restart)
{
	struct store_claim c;
	int i;

	util_open();
	for (i = 0; i < 5; i++)
		(void)util_add("s", "{}", "k");
	for (i = 0; i < 5; i++)
		(void)util_add("s", "{}", NULL);
	cr_assert_eq(util_claimable("s"), 6);
	util_close();
	util_open();
	util_claim(&c, "s", 100);
	cr_assert_eq(c.ret_njobs, 6);
	cr_assert_eq(c.ret_jobs[0]->attempt, 1);
	store_claim_clear(&c);
}

Test(store_jobs, jobs_of_one_key_run_one_after_the_other)
{
	uint64_t job, delivery, want;

	util_open();
	for (want = 1; want <= 4; want++)
		(void)util_add("s", "{}", "issue-1");
	(void)util_add("s", "{}", "issue-2");
	(void)util_add("t", "{}", "issue-1");
	for (want = 1; want <= 4; want++) {
		job = util_claim_one("s", &delivery);
		cr_assert_eq(delivery, want);
		if (want == 1)
			(void)util_claim_one("s", &delivery);
		cr_assert_eq(util_claimable("s"), 0);
		cr_assert_eq(util_finish(job, STORE_DONE, 0), 0);
	}
	cr_assert_eq(util_claimable("s"), 0);
	cr_assert_eq(util_claimable("t"), 1);
}

Test(store_jobs, a_blocked_job_counts_as_pending)
{
	struct store_counts n;

	util_open();
	(void)util_add("s", "{}", "k");
	(void)util_add("s", "{}", "k");
	util_counts(&n, "s");
	cr_assert_eq(n.ret_jobs[STORE_PENDING], 2);
}

Test(store_jobs, a_retrying_job_gives_its_key_up)
{
	uint64_t first, second, delivery;

	util_open();
	(void)util_add("s", "{}", "k");
	(void)util_add("s", "{}", "k");
	(void)util_add("s", "{}", "k");
	first = util_claim_one("s", &delivery);
	cr_assert_eq(
	    util_finish(first, STORE_RETRYING, clock_unix_ms() + HOUR_MS), 0);
	second = util_claim_one("s", &delivery);
	cr_assert_eq(delivery, 2);
	cr_assert_eq(util_claimable("s"), 0);
	cr_assert_eq(util_finish(second, STORE_DEAD, 0), 0);
	(void)util_claim_one("s", &delivery);
	cr_assert_eq(delivery, 3);
}

Test(store_jobs, a_retry_does_not_run_beside_one_of_its_key)
{
	uint64_t first, second, delivery;

	util_open();
	(void)util_add("s", "{}", "k");
	(void)util_add("s", "{}", "k");
	first = util_claim_one("s", NULL);
	cr_assert_eq(util_finish(first, STORE_RETRYING, 1), 0);

	/* Both are due now: the older one goes, and holds its key. */
	cr_assert_eq(util_claim_one("s", &delivery), first);
	cr_assert_eq(util_claimable("s"), 0);
	(void)util_add("s", "{}", "k");
	cr_assert_eq(util_claimable("s"), 0);
	cr_assert_eq(util_finish(first, STORE_DONE, 0), 0);
	second = util_claim_one("s", &delivery);
	cr_assert_eq(delivery, 2);
	cr_assert_eq(util_claimable("s"), 0);
	cr_assert_eq(util_finish(second, STORE_DONE, 0), 0);
	(void)util_claim_one("s", &delivery);
	cr_assert_eq(delivery, 3);
}

Test(store_jobs, what_is_blocked_on_a_retry_goes_on_when_it_is_put_back)
{
	uint64_t first, delivery;

	util_open();
	(void)util_add("s", "{}", "k");
	first = util_claim_one("s", NULL);
	cr_assert_eq(util_finish(first, STORE_RETRYING, 1), 0);
	cr_assert_eq(util_claim_one("s", NULL), first);
	(void)util_add("s", "{}", "k");
	cr_assert_eq(util_finish(first, STORE_PENDING, 0), 0);
	cr_assert_eq(util_claim_one("s", NULL), first);
	cr_assert_eq(
	    util_finish(first, STORE_RETRYING, clock_unix_ms() + HOUR_MS), 0);
	(void)util_claim_one("s", &delivery);
	cr_assert_eq(delivery, 2);
}

Test(store_jobs, strict_order_holds_the_key)
{
	struct store_options o = util_options();
	uint64_t first, delivery;

	o.strict_order = 1;
	util_open_with(&o);
	(void)util_add("s", "{}", "k");
	(void)util_add("s", "{}", "k");
	first = util_claim_one("s", NULL);
	cr_assert_eq(
	    util_finish(first, STORE_RETRYING, clock_unix_ms() + HOUR_MS), 0);
	(void)util_add("s", "{}", "k");
	cr_assert_eq(util_claimable("s"), 0);
	util_close();
	util_open_with(&o);
	cr_assert_eq(util_claimable("s"), 0);

	/* A replay makes it due. */
	{
		struct store_replay r;

		(void)memset(&r, 0, sizeof(r));
		r.id = 1;
		cr_assert_eq(util_do(&r.op, STORE_OP_REPLAY), 0);
		cr_assert_eq(r.ret_count, 1);
		cr_assert_str_eq(r.ret_json, "[\"s\"]");
		free(r.ret_json);
	}
	cr_assert_eq(util_claim_one("s", NULL), first);
	cr_assert_eq(util_claimable("s"), 0);
	cr_assert_eq(util_finish(first, STORE_DONE, 0), 0);
	(void)util_claim_one("s", &delivery);
	cr_assert_eq(delivery, 2);
}

Test(store_jobs, order_outlives_a_restart)
{
	uint64_t delivery, want;

	util_open();
	for (want = 1; want <= 5; want++)
		(void)util_add("s", "{}", "k");
	(void)util_claim_one("s", NULL);
	for (want = 1; want <= 5; want++) {
		util_close();
		util_open();
		cr_assert_eq(
		    util_finish(util_claim_one("s", &delivery), STORE_DONE, 0),
		    0);
		cr_assert_eq(delivery, want);
	}
}

Test(store_jobs, order_is_kept_when_the_mode_changes)
{
	struct store_options o = util_options();
	uint64_t first, delivery;

	util_open();
	(void)util_add("s", "{}", "k");
	first = util_claim_one("s", NULL);
	cr_assert_eq(util_finish(first, STORE_RETRYING, 1), 0);
	cr_assert_eq(util_claim_one("s", NULL), first);
	(void)util_add("s", "{}", "k"); /* Blocked on a retry that runs. */
	util_close();
	o.strict_order = 1;
	util_open_with(&o);
	cr_assert_eq(util_claim_one("s", NULL), first);
	cr_assert_eq(util_claimable("s"), 0);
	cr_assert_eq(util_finish(first, STORE_DEAD, 0), 0);
	(void)util_claim_one("s", &delivery);
	cr_assert_eq(delivery, 2);
}

static int
put_step(uint64_t job, const char *name, struct str result)
{
	struct store_step_put s;

	(void)memset(&s, 0, sizeof(s));
	s.job_id = job;
	s.name = str_of(name);
	s.result_json = result;
	return util_do(&s.op, STORE_OP_STEP) == 0 ? 0 : (int)s.op.err.code;
}

Test(store_jobs, steps_come_with_the_next_attempt)
{
	struct store_claim c;
	uint64_t job;

	util_open();
	(void)util_add("s", "{}", NULL);
	job = util_claim_one("s", NULL);
	cr_assert_eq(put_step(job, "one", STR("{\"key\":\"OPS-1\"}")), 0);
	cr_assert_eq(put_step(job, "two", STR("2")), 0);
	cr_assert_eq(put_step(job, "one", STR("1")), 0);

	/* Also when the host died: nothing says how the job ended. */
	util_close();
	util_open();
	util_claim(&c, "s", 1);
	cr_assert_eq(c.ret_njobs, 1);
	cr_assert_eq(c.ret_jobs[0]->nsteps, 2);
	cr_assert(str_eq(c.ret_jobs[0]->steps[0].name, STR("one")));
	cr_assert(str_eq(c.ret_jobs[0]->steps[0].result_json, STR("1")));
	cr_assert(str_eq(c.ret_jobs[0]->steps[1].name, STR("two")));
	cr_assert(str_eq(c.ret_jobs[0]->steps[1].result_json, STR("2")));
	store_claim_clear(&c);
	cr_assert_eq(util_finish(job, STORE_RETRYING, 1), 0);
	util_claim(&c, "s", 1);
	cr_assert_eq(c.ret_jobs[0]->nsteps, 2);
	store_claim_clear(&c);
}

Test(store_jobs, steps_have_limits)
{
	char *big = mem_zalloc(STORE_VALUE_MAX + 1);
	char name[STORE_KEY_MAX + 2];
	uint64_t job;

	util_open();
	(void)util_add("s", "{}", NULL);
	(void)memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	cr_assert_eq(put_step(1 << 10, "x", STR("1")), ERR_NOT_FOUND);
	job = util_claim_one("s", NULL);
	cr_assert_eq(put_step(job, "x", (struct str){big, STORE_VALUE_MAX}), 0);
	cr_assert_eq(put_step(job, "x", (struct str){big, STORE_VALUE_MAX + 1}),
	    ERR_TOO_LARGE);
	cr_assert_eq(put_step(job, name, STR("1")), ERR_TOO_LARGE);
	free(big);
}

/* ---- replay and discard ---- */

static uint64_t
replay(uint64_t id, int all, const char *state)
{
	struct store_replay r;

	(void)memset(&r, 0, sizeof(r));
	r.id = id;
	r.all = all;
	r.state = state;
	cr_assert_eq(util_do(&r.op, STORE_OP_REPLAY), 0, "%s", r.op.err.msg);
	free(r.ret_json);
	return r.ret_count;
}

Test(store_jobs, a_replay_is_for_what_failed)
{
	struct util_delivery d;
	struct store_claim c;
	uint64_t id;

	util_open();
	util_delivery(&d, "bad", "{}");
	d.jobs[1].script = "good";
	d.jobs[1].handler = "on_issue";
	d.op.njobs = 2;
	id = util_append(&d);
	cr_assert_eq(util_run_all("bad", STORE_DEAD), 1);
	cr_assert_eq(util_run_all("good", STORE_DONE), 1);
	cr_assert_eq(replay(id, 0, NULL), 1);
	util_claim(&c, "bad", 10);
	cr_assert_eq(c.ret_njobs, 1);
	cr_assert_eq(c.ret_jobs[0]->attempt, 1);
	cr_assert_eq(replay(id, 1, NULL), 1); /* One runs: only the other. */
	cr_assert_eq(util_finish(c.ret_jobs[0]->id, STORE_DROPPED, 0), 0);
	store_claim_clear(&c);
	cr_assert_eq(util_run_all("good", STORE_DONE), 1);
	cr_assert_eq(replay(id, 1, NULL), 2);
	cr_assert_eq(replay(id, 1, NULL), 0);
}

Test(store_jobs, a_replay_names_its_scripts)
{
	const char *const scripts[] = {"b"};
	struct util_delivery d;
	struct store_replay r;

	util_open();
	util_delivery(&d, "a", "{}");
	d.jobs[1].script = "b";
	d.jobs[1].handler = "on_issue";
	d.op.njobs = 2;
	(void)util_append(&d);
	cr_assert_eq(util_run_all("a", STORE_DEAD), 1);
	cr_assert_eq(util_run_all("b", STORE_DONE), 1);
	(void)memset(&r, 0, sizeof(r));
	r.id = 1;
	r.scripts = scripts;
	r.nscripts = 1;
	cr_assert_eq(util_do(&r.op, STORE_OP_REPLAY), 0);
	cr_assert_eq(r.ret_count, 1);
	cr_assert_str_eq(r.ret_json, "[\"b\"]");
	cr_assert_eq(r.ret_jsonlen, 5);
	free(r.ret_json);
	cr_assert_eq(util_claimable("a"), 0);
	cr_assert_eq(util_claimable("b"), 1);
}

Test(store_jobs, steps_are_kept_by_the_replay_of_a_failure_alone)
{
	struct store_claim c;
	uint64_t job;

	util_open();
	(void)util_add("s", "{}", NULL);
	job = util_claim_one("s", NULL);
	cr_assert_eq(put_step(job, "x", STR("1")), 0);
	cr_assert_eq(util_finish(job, STORE_DEAD, 0), 0);
	cr_assert_eq(replay(1, 0, NULL), 1);
	util_claim(&c, "s", 1);
	cr_assert_eq(c.ret_jobs[0]->nsteps, 1);
	store_claim_clear(&c);
	cr_assert_eq(util_finish(job, STORE_DONE, 0), 0);
	cr_assert_eq(replay(1, 1, NULL), 1);
	util_claim(&c, "s", 1);
	cr_assert_eq(c.ret_jobs[0]->nsteps, 0);
	store_claim_clear(&c);
}

Test(store_jobs, a_replayed_job_keeps_to_its_order)
{
	uint64_t second, delivery;

	util_open();
	(void)util_add("s", "{}", "k");
	cr_assert_eq(util_run_all("s", STORE_DEAD), 1);
	(void)util_add("s", "{}", "k");
	second = util_claim_one("s", NULL);
	cr_assert_eq(replay(1, 0, NULL), 1);
	cr_assert_eq(util_claimable("s"), 0);
	cr_assert_eq(util_finish(second, STORE_DONE, 0), 0);
	(void)util_claim_one("s", &delivery);
	cr_assert_eq(delivery, 1);
}

Test(store_jobs, a_quarantined_delivery_gets_jobs_by_replay)
{
	struct store_new_job job = {"s", "on_issue", STR("k")};
	struct util_delivery d;
	struct store_counts n;
	struct store_replay r;
	int i;

	util_open();
	util_delivery(&d, "s", "{}");
	d.op.state = STORE_INVALID;
	d.op.njobs = 0;
	d.op.violation_pointer = "/data";
	d.op.violation_message = "is missing";
	(void)util_append(&d);
	util_counts(&n, NULL);
	cr_assert_eq(n.ret_jobs[STORE_INVALID], 1);
	cr_assert_eq(util_claimable("s"), 0);
	for (i = 0; i < 2; i++) {
		(void)memset(&r, 0, sizeof(r));
		r.id = 1;
		r.jobs = &job;
		r.njobs = 1;
		cr_assert_eq(util_do(&r.op, STORE_OP_REPLAY), 0);
		cr_assert_eq(r.ret_count, i == 0 ? 1 : 0);
		free(r.ret_json);
	}
	cr_assert_eq(util_claimable("s"), 1);
	util_counts(&n, NULL);
	cr_assert_eq(n.ret_jobs[STORE_INVALID], 0);
	cr_assert_eq(n.ret_deliveries, 1);
}

Test(store_jobs, a_replay_by_filter_takes_all_of_a_state)
{
	struct store_counts n;
	struct store_replay r;
	int i;

	util_open();
	for (i = 0; i < 700; i++)
		(void)util_add(i < 600 ? "s" : "t", "{}", NULL);
	cr_assert_eq(util_run_all("s", STORE_DEAD), 600);
	cr_assert_eq(util_run_all("t", STORE_DEAD), 100);
	(void)memset(&r, 0, sizeof(r));
	r.state = "dead";
	r.script = "s";
	cr_assert_eq(util_do(&r.op, STORE_OP_REPLAY), 0);
	cr_assert_eq(r.ret_count, 600);
	util_counts(&n, NULL);
	cr_assert_eq(n.ret_jobs[STORE_PENDING], 600);
	cr_assert_eq(n.ret_jobs[STORE_DEAD], 100);
	cr_assert_eq(replay(0, 0, "done"), 0);
	(void)memset(&r, 0, sizeof(r));
	r.since_unix_ms = clock_unix_ms() + HOUR_MS;
	cr_assert_eq(util_do(&r.op, STORE_OP_REPLAY), 0);
	cr_assert_eq(r.ret_count, 0);
	r.state = "invalid";
	cr_assert_eq(util_do(&r.op, STORE_OP_REPLAY), -1);
	cr_assert_eq(r.op.err.code, ERR_INVALID);
	(void)memset(&r, 0, sizeof(r));
	r.id = 12345;
	cr_assert_eq(util_do(&r.op, STORE_OP_REPLAY), -1);
	cr_assert_eq(r.op.err.code, ERR_NOT_FOUND);

	/* Retrying ones are made due. */
	cr_assert_eq(util_finish(util_claim_one("s", NULL), STORE_RETRYING,
			 clock_unix_ms() + HOUR_MS),
	    0);
	cr_assert_eq(replay(0, 0, "retrying"), 1);
	cr_assert_eq(util_run_all("s", STORE_DONE), 600);
	cr_assert_eq(replay(0, 0, "done"), 600);
}

static uint64_t
discard(const char *script)
{
	struct store_discard d;

	(void)memset(&d, 0, sizeof(d));
	d.integration = "default";
	d.script = script;
	cr_assert_eq(util_do(&d.op, STORE_OP_DISCARD), 0);
	return d.ret_count;
}

Test(store_jobs, a_discard_drops_all_that_waits)
{
	struct store_counts n;
	uint64_t keyed, free_one;
	int i;

	util_open();
	for (i = 0; i < 300; i++)
		(void)util_add("s", "{}", "hot");
	for (i = 0; i < 300; i++)
		(void)util_add("s", "{}", NULL);
	for (i = 0; i < 300; i++)
		(void)util_add("s", "{}", i % 2 == 0 ? "x" : "y");
	(void)util_add("t", "{}", NULL);
	keyed = util_claim_one("s", NULL);
	free_one = util_claim_one("s", NULL);
	cr_assert_eq(
	    util_finish(free_one, STORE_RETRYING, clock_unix_ms() + HOUR_MS),
	    0);
	cr_assert_eq(discard("s"), 899);
	util_counts(&n, "s");
	cr_assert_eq(n.ret_jobs[STORE_DROPPED], 899);
	cr_assert_eq(n.ret_jobs[STORE_RUNNING], 1);
	cr_assert_eq(n.ret_jobs[STORE_PENDING], 0);
	cr_assert_eq(n.ret_jobs[STORE_RETRYING], 0);

	/* What runs is not touched, and what comes then runs. */
	cr_assert_eq(util_finish(keyed, STORE_DONE, 0), 0);
	(void)util_add("s", "{}", "hot");
	cr_assert_eq(util_claimable("s"), 1);
	cr_assert_eq(discard("t"), 1);
	cr_assert_eq(discard("nobody"), 0);
}

/* ---- the watcher ---- */

static int told;

static void
ready(void *cookie, const char *integration, const char *script)
{
	cr_assert_eq(cookie, &told);
	cr_assert_str_eq(integration, "default");
	cr_assert_str_eq(script, "s");
	told++;
}

/* Whether the watcher was told since the last time. */
static int
was_told(void)
{
	int n;

	mailbox_open_all(util_box);
	n = told;
	told = 0;
	return n;
}

Test(store_jobs, the_watcher_is_told_what_became_due)
{
	uint64_t first, second;
	int i;

	util_open();
	store_watch(util_store, util_box, ready, &told);
	(void)util_add("s", "{}", "k");
	cr_assert(was_told());
	(void)util_add("s", "{}", "k"); /* Blocked. */
	cr_assert(!was_told());
	first = util_claim_one("s", NULL);
	cr_assert(!was_told());
	cr_assert_eq(util_finish(first, STORE_DONE, 0), 0);
	cr_assert(was_told());
	second = util_claim_one("s", NULL);
	cr_assert_eq(util_finish(second, STORE_DEAD, 0), 0);
	(void)was_told();
	cr_assert_eq(replay(2, 0, NULL), 1);
	cr_assert(was_told());
	second = util_claim_one("s", NULL);
	cr_assert_eq(util_finish(second, STORE_PENDING, 0), 0);
	cr_assert(was_told());

	/* Letters that are still under way when the store is closed. */
	for (i = 0; i < 10; i++)
		(void)util_add("s", "{}", NULL);
}
