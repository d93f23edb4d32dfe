#include "store_util.h"

TestSuite(
    store_present, .init = util_setup, .fini = util_teardown, .timeout = 60);

/* Say which scripts are there; returns how many others have jobs that wait. */
static size_t
present(struct store_present *p, const char *one)
{
	static struct store_script_name names[1];

	(void)memset(p, 0, sizeof(*p));
	names[0] = (struct store_script_name){"default", one};
	p->scripts = names;
	p->nscripts = one != NULL;
	cr_assert_eq(util_do(&p->op, STORE_OP_PRESENT), 0, "%s", p->op.err.msg);
	return p->ret_ngone;
}

static uint64_t
add_invalid(const char *pointer, const char *body)
{
	struct util_delivery d;

	util_delivery(&d, "s", body);
	d.op.state = STORE_INVALID;
	d.op.njobs = 0;
	d.op.violation_pointer = pointer;
	d.op.violation_message = "no";
	return util_append(&d);
}

static void
page(struct store_invalid_page *p, uint64_t after, size_t max)
{
	(void)memset(p, 0, sizeof(*p));
	p->after_id = after;
	p->max = max;
	cr_assert_eq(util_do(&p->op, STORE_OP_INVALID), 0, "%s", p->op.err.msg);
}

/* Give an invalid delivery a job, or none. */
static void
admit(struct store_replay *r, uint64_t id, const char *script)
{
	static struct store_new_job job;

	(void)memset(r, 0, sizeof(*r));
	job = (struct store_new_job){script, "on_issue", {NULL, 0}};
	r->id = id;
	r->state = "invalid";
	r->jobs = &job;
	r->njobs = script != NULL;
	cr_assert_eq(util_do(&r->op, STORE_OP_REPLAY), 0, "%s", r->op.err.msg);
	free(r->ret_json);
}

static uint64_t
jobs_of(const char *script, enum store_state state)
{
	struct store_counts c;

	util_counts(&c, script);
	return c.ret_jobs[state];
}

/* ---- scripts that are gone ------------------------------------------------
 */

Test(store_present, names_those_that_are_gone_while_their_jobs_wait)
{
	struct store_present p;

	util_open();
	(void)util_add("a", "{}", "");
	(void)util_add("b", "{}", "");
	cr_assert_eq(present(&p, "a"), 1);
	cr_assert_str_eq(p.ret_gone[0].script, "b");
	cr_assert_str_eq(p.ret_gone[0].integration, "default");
	store_present_clear(&p);
	cr_assert_eq(util_run_all("b", STORE_DONE), 1);
	cr_assert_eq(present(&p, "a"), 0);
	cr_assert_eq(present(&p, "b"), 1);
	store_present_clear(&p);
}

Test(store_present, buries_the_jobs_of_one_that_does_not_come_back)
{
	struct store_options o = util_options();
	struct store_present p;
	struct store_get g;
	uint64_t id, retried;
	int i;

	o.retain_gone_ms = 1;
	util_open_with(&o);
	retried = util_add("a", "{}", "k");
	cr_assert_eq(
	    util_finish(util_claim_one("a", NULL), STORE_RETRYING, UINT32_MAX),
	    0);
	id = util_add("a", "{}", "k");
	for (i = 0; i < 200; i++)
		(void)util_add("a", "{}", i % 2 == 0 ? "k" : "");
	(void)util_add("b", "{}", "");
	cr_assert_eq(present(&p, "b"), 1);
	store_present_clear(&p);
	while (jobs_of("a", STORE_DEAD) < 202)
		(void)usleep(1000);
	cr_assert_eq(jobs_of("a", STORE_PENDING), 0);
	cr_assert_eq(jobs_of("a", STORE_RETRYING), 0);
	cr_assert_eq(jobs_of("b", STORE_PENDING), 1);
	cr_assert_eq(util_claimable("a"), 0);

	/* A person sees why, and can have it run when the script is back. */
	(void)memset(&g, 0, sizeof(g));
	g.id = id;
	cr_assert_eq(util_do(&g.op, STORE_OP_GET), 0);
	cr_assert_not_null(strstr(g.ret_json, "did not come back in time"));
	free(g.ret_json);
	cr_assert_eq(present(&p, "a"), 1);
	store_present_clear(&p);
	for (i = 0; i < 2; i++) {
		struct store_replay r = {.id = i == 0 ? id : retried};

		cr_assert_eq(util_do(&r.op, STORE_OP_REPLAY), 0);
		cr_assert_eq(r.ret_count, 1);
		free(r.ret_json);
	}
	cr_assert_eq(util_run_all("a", STORE_DONE), 2);
}

Test(store_present, keeps_the_jobs_of_one_that_comes_back_in_time)
{
	struct store_options o = util_options();
	struct store_present p;

	o.retain_gone_ms = HOUR_MS;
	util_open_with(&o);
	(void)util_add("a", "{}", "");
	cr_assert_eq(present(&p, NULL), 1);
	store_present_clear(&p);
	util_close();

	/* Since when it is gone is known after a restart, and forgotten when
	 * it is there again. */
	util_open_with(&o);
	cr_assert_eq(present(&p, "a"), 0);
	util_close();
	o.retain_gone_ms = 1;
	util_open_with(&o);
	(void)util_add("b", "{}", "");
	cr_assert_eq(present(&p, "a"), 1);
	store_present_clear(&p);
	while (jobs_of("b", STORE_DEAD) < 1)
		(void)usleep(1000);
	cr_assert_eq(jobs_of("a", STORE_PENDING), 1);
	cr_assert_eq(util_run_all("a", STORE_DONE), 1);
}

Test(store_present, counts_from_when_it_went_across_a_restart)
{
	struct store_options o = util_options();
	struct store_present p;

	util_open_with(&o);
	(void)util_add("a", "{}", "");
	cr_assert_eq(present(&p, NULL), 1);
	store_present_clear(&p);
	util_close();
	o.retain_gone_ms = 1;
	util_open_with(&o);
	while (jobs_of("a", STORE_DEAD) < 1)
		(void)usleep(1000);
}

/* ---- the quarantine -------------------------------------------------------
 */

Test(store_present, pages_through_the_quarantine)
{
	struct store_invalid_page p;
	uint64_t ids[5];
	int i;

	util_open();
	page(&p, 0, 0);
	cr_assert_eq(p.ret_n, 0);
	cr_assert_eq(p.ret_next, 0);
	store_invalid_clear(&p);

	/* One that no schema can make good. */
	(void)add_invalid(NULL, "{}");
	for (i = 0; i < 5; i++) {
		(void)util_add("s", "{}", "");
		ids[i] = add_invalid("/data", i == 3 ? "{\"n\":3}" : "{}");
	}
	page(&p, 0, 2);
	cr_assert_eq(p.ret_n, 2);
	cr_assert_eq(p.ret_deliveries[0].id, ids[0]);
	cr_assert_str_eq(p.ret_deliveries[0].integration, "default");
	cr_assert_str_eq(p.ret_deliveries[0].resource, "issue");
	cr_assert_eq(p.ret_next, ids[1]);
	store_invalid_clear(&p);
	page(&p, ids[1], 3);
	cr_assert_eq(p.ret_n, 3);
	cr_assert(str_eq(p.ret_deliveries[1].body, STR("{\"n\":3}")));
	cr_assert_eq(p.ret_next, 0);
	store_invalid_clear(&p);
}

Test(store_present, ends_a_page_where_the_bodies_get_large)
{
	char *body = mem_zalloc(STORE_INVALID_BYTES + 1);
	struct store_invalid_page p;
	uint64_t id;

	util_open();
	(void)memset(body, 'x', STORE_INVALID_BYTES);
	id = add_invalid("", body);
	(void)add_invalid("/data", "{}");
	page(&p, 0, 10);
	cr_assert_eq(p.ret_n, 1);
	cr_assert_eq(p.ret_deliveries[0].body.len, STORE_INVALID_BYTES);
	cr_assert_eq(p.ret_next, id);
	store_invalid_clear(&p);
	free(body);
}

Test(store_present, lets_a_delivery_out_of_the_quarantine_once)
{
	struct store_replay r;
	struct store_counts c;
	uint64_t id;

	util_open();
	id = add_invalid("/data", "{}");
	admit(&r, id, "s");
	cr_assert_eq(r.ret_count, 1);
	admit(&r, id, "s");
	cr_assert_eq(r.ret_count, 0);
	cr_assert_eq(util_run_all("s", STORE_DEAD), 1);

	/* Not what a replay of its jobs is. */
	admit(&r, id, "s");
	cr_assert_eq(r.ret_count, 0);
	util_counts(&c, NULL);
	cr_assert_eq(c.ret_jobs[STORE_INVALID], 0);
	cr_assert_eq(c.ret_jobs[STORE_DEAD], 1);
}

Test(store_present, what_is_valid_and_nobodys_becomes_unhandled)
{
	struct store_replay r;
	struct store_counts c;
	uint64_t id;

	util_open();
	id = add_invalid("/data", "{}");
	admit(&r, id, NULL);
	cr_assert_eq(r.ret_count, 0);
	util_counts(&c, NULL);
	cr_assert_eq(c.ret_jobs[STORE_INVALID], 0);
	cr_assert_eq(c.ret_jobs[STORE_UNHANDLED], 1);
	(void)memset(&r, 0, sizeof(r));
	r.id = id;
	r.state = "dead";
	cr_assert_eq(util_do(&r.op, STORE_OP_REPLAY), -1);
	cr_assert_eq(r.op.err.code, ERR_INVALID);
}
