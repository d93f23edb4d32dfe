/*
 * Rows are committed for many operations at once: who waits for that, what is
 * seen before, and what a commit that fails takes back.
 */

#include "store/store_sqlite_internal.h"

#include "unit/store_lazy.h"

TestSuite(
    store_commit, .init = util_setup, .fini = util_teardown, .timeout = 120);

/* ---- reading before a commit ---- */

Test(store_commit, what_was_answered_is_seen_at_once)
{
	struct store_invalid_page page;
	struct util_delivery d;
	struct store_counts n;
	struct store_list list;
	struct store_get get;
	uint64_t id;

	open_lazy();
	(void)util_add("a", "{}", NULL);
	util_counts(&n, "a");
	cr_assert_eq(n.ret_deliveries, 1);
	cr_assert_eq(n.ret_jobs[STORE_PENDING], 1);

	id = util_add("a", "{\"look\":\"here\"}", NULL);
	(void)memset(&get, 0, sizeof(get));
	get.id = id;
	cr_assert_eq(util_do(&get.op, STORE_OP_GET), 0, "%s", get.op.err.msg);
	cr_assert_not_null(strstr(get.ret_json, "\"here\""));
	free(get.ret_json);

	id = util_add("a", "{}", NULL);
	(void)memset(&list, 0, sizeof(list));
	list.before_id = id + 1;
	list.limit = 1;
	cr_assert_eq(
	    util_do(&list.op, STORE_OP_LIST), 0, "%s", list.op.err.msg);
	cr_assert_not_null(strstr(list.ret_json, "\"id\":\"3\""));
	free(list.ret_json);

	util_delivery(&d, "a", "{}");
	d.op.state = STORE_INVALID;
	d.op.violation_pointer = "/x";
	d.op.njobs = 0;
	id = util_append(&d);
	(void)memset(&page, 0, sizeof(page));
	cr_assert_eq(
	    util_do(&page.op, STORE_OP_INVALID), 0, "%s", page.op.err.msg);
	cr_assert_eq(page.ret_n, 1);
	cr_assert_eq(page.ret_deliveries[0].id, id);
	store_invalid_clear(&page);
}

/* ---- a finish waits for its commit ---- */

Test(store_commit, a_finish_is_answered_when_it_is_durable)
{
	struct store_counts n;
	struct store_finish f;
	uint64_t job;
	int done, before;

	open_lazy();
	(void)util_add("a", "{}", NULL);
	(void)util_add("b", "{}", NULL);
	job = util_claim_one("a", NULL);
	util_counts(&n, NULL);
	before = atomic_load(&commits);
	finish_op(&f, job, STORE_DONE);
	submit(&f.op, STORE_OP_FINISH, &done);
	/* What comes behind it and needs no commit is answered before. */
	(void)util_claim_one("b", NULL);
	cr_assert(!done || atomic_load(&commits) > before);
	util_counts(&n, NULL);
	await(&done);
	cr_assert_gt(atomic_load(&commits), before);
	cr_assert_eq(f.op.rc, 0);
	cr_assert_eq(n.ret_jobs[STORE_DONE], 1);
	cr_assert_eq(n.ret_jobs[STORE_RUNNING], 1);
}

Test(store_commit, a_finish_is_answered_within_the_commit_time)
{
	uint64_t began;

	util_open(); /* Within 1 ms, and the next look is in a second. */
	(void)util_add("a", "{}", NULL);
	began = clock_mono_ms();
	cr_assert_eq(util_run_all("a", STORE_DONE), 1);
	cr_assert_lt(clock_mono_ms() - began, 10000);
	cr_assert_eq(
	    util_finish(1234, STORE_DONE, 0), -1, "refused, and answered");
}

Test(store_commit, a_job_is_claimed_again_only_when_its_end_is_durable)
{
	struct store_finish f;
	struct store_claim c;
	uint64_t job;
	int done, before;

	open_lazy();
	(void)util_add("a", "{}", NULL);
	job = util_claim_one("a", NULL);
	before = atomic_load(&commits);
	finish_op(&f, job, STORE_PENDING);
	submit(&f.op, STORE_OP_FINISH, &done);
	util_claim(&c, "a", 1);
	cr_assert(c.ret_njobs == 0 || atomic_load(&commits) > before);
	store_claim_clear(&c);
	(void)ask("SELECT 1");
	await(&done);
	cr_assert_eq(util_claimable("a"), done);
}

/* ---- commits that fail ---- */

/* A finish whose commit fails, and a claim of what it has let go before. */
Test(store_commit, a_failed_commit_leaves_keys_and_counts_right)
{
	struct store_finish f[2];
	struct store_counts n;
	uint64_t a, b, id;
	struct store_kv kv;
	int done;

	open_lazy();
	(void)util_add("a", "{\"n\":1}", "k");
	(void)util_add("a", "{\"n\":2}", "k");
	(void)util_add("a", "{\"n\":3}", "k");
	a = util_claim_one("a", NULL);
	util_counts(&n, NULL);

	/* In one transaction. */
	(void)util_add("a", "{\"n\":4}", "k");
	finish_op(&f[0], a, STORE_DONE);
	submit(&f[0].op, STORE_OP_FINISH, &done);
	b = util_claim_one("a", &id);
	cr_assert_eq(id, 2);
	(void)util_add("a", "{\"n\":5}", "k");
	rows_die();
	kv_op(&kv);
	cr_assert_eq(util_do(&kv.op, STORE_OP_KV), -1);
	cr_assert_eq(kv.op.err.code, ERR_UNAVAILABLE, "%s", kv.op.err.msg);
	await(&done);
	rows_live();
	if (f[0].op.rc == -1) {
		cr_assert_eq(f[0].op.err.code, ERR_UNAVAILABLE);
		cr_assert_eq(util_do(&f[0].op, STORE_OP_FINISH), 0, "%s",
		    f[0].op.err.msg);
	}
	util_counts(&n, "a");
	cr_assert_eq(n.ret_deliveries, 5);
	cr_assert_eq(n.ret_jobs[STORE_DONE], 1);
	cr_assert_eq(n.ret_jobs[STORE_RUNNING], 1);
	cr_assert_eq(n.ret_jobs[STORE_PENDING], 3);
	cr_assert_eq(ask("SELECT count(*) FROM job WHERE state = 8"), 3);
	check_tallies();
	cr_assert_eq(util_claimable("a"), 0);

	/* One after the other, in order. */
	cr_assert_eq(util_finish(b, STORE_DONE, 0), 0);
	for (id = 3; id <= 5; id++) {
		cr_assert_eq(util_claim_one("a", &a) >> SQ_JOB_BITS, id);
		cr_assert_eq(util_claimable("a"), 0);
		cr_assert_eq(util_finish(id << SQ_JOB_BITS, STORE_DONE, 0), 0);
	}
	check_tallies();
	util_close();
	util_open();
	cr_assert_eq(ask("SELECT count(*) FROM delivery"), 5);
	cr_assert_eq(util_add("a", "{}", NULL), 6);
}

/* To be read it needs a commit, which fails. */
Test(store_commit, a_read_does_without_what_cannot_be_committed)
{
	struct store_finish f[2];
	struct store_counts n;
	uint64_t job[2];
	int done[2];

	open_lazy();
	(void)util_add("a", "{}", NULL);
	(void)util_add("a", "{}", NULL);
	job[0] = util_claim_one("a", NULL);
	job[1] = util_claim_one("a", NULL);
	(void)ask("SELECT 1");
	finish_op(&f[0], job[0], STORE_DONE);
	finish_op(&f[1], job[1], STORE_DEAD);
	submit(&f[0].op, STORE_OP_FINISH, &done[0]);
	submit(&f[1].op, STORE_OP_FINISH, &done[1]);
	(void)util_claimable("a"); /* Both are applied. */
	rows_die();
	util_counts(&n, "a");
	cr_assert(n.ret_jobs[STORE_RUNNING] == 2 || done[0]);
	await(&done[0]);
	await(&done[1]);
	rows_live();
	if (f[0].op.rc == -1)
		cr_assert_eq(util_do(&f[0].op, STORE_OP_FINISH), 0);
	if (f[1].op.rc == -1)
		cr_assert_eq(util_do(&f[1].op, STORE_OP_FINISH), 0);
	util_counts(&n, "a");
	cr_assert_eq(n.ret_jobs[STORE_DONE], 1);
	cr_assert_eq(n.ret_jobs[STORE_DEAD], 1);
	check_tallies();
}

Test(store_commit, a_delivery_whose_commit_fails_is_answered_and_there_once)
{
	struct store_batch batch = {NULL, NULL};
	struct util_delivery d, later;
	struct store_kv kv;
	int done[2], duplicate;

	open_lazy();
	rows_die();
	util_delivery(&d, "a", "{}");
	d.op.dedupe_key = STR("key");
	kv_op(&kv);
	collect(&batch, &d.op.op, STORE_OP_APPEND, &done[0]);
	collect(&batch, &kv.op, STORE_OP_KV, &done[1]);
	store_submit_all(util_store, &batch);
	await(&done[0]);
	await(&done[1]);
	cr_assert_eq(d.op.op.rc, 0, "%s", d.op.op.err.msg);
	cr_assert_eq(kv.op.rc, -1);

	/* Until its rows are written, nothing more is taken. */
	util_delivery(&later, "a", "{}");
	cr_assert_eq(util_do(&later.op.op, STORE_OP_APPEND), -1);
	cr_assert_eq(later.op.op.err.code, ERR_UNAVAILABLE);
	cr_assert_eq(util_claimable("a"), 1, "what is there can run");
	rows_live();
	cr_assert_eq(add_key("a", "key", &duplicate), d.op.ret_id);
	cr_assert(duplicate);
	cr_assert_gt(util_add("a", "{}", NULL), d.op.ret_id);
	cr_assert_eq(ask("SELECT count(*) FROM delivery"), 2);
	cr_assert_eq(util_claimable("a"), 1);
	check_tallies();
}

Test(store_commit, a_schedule_whose_commit_failed_is_due_once)
{
	struct util_delivery due, other;

	open_lazy();
	rows_die();
	append_due(&due, &other);
	cr_assert_eq(due.op.op.rc, -1);
	cr_assert_eq(other.op.op.rc, 0, "%s", other.op.op.err.msg);
	rows_live();
	cr_assert_eq(
	    util_do(&due.op.op, STORE_OP_APPEND), 0, "%s", due.op.op.err.msg);
	cr_assert_not(due.op.ret_duplicate);
	cr_assert_eq(util_claimable("a"), 1);
	cr_assert_eq(util_claimable("b"), 1);
	check_tallies();
}

Test(store_commit, a_failed_commit_gives_no_job_to_two)
{
	struct store_finish f;
	struct store_claim c;
	struct store_kv kv;
	uint64_t job;
	size_t n = 1;
	int done;

	open_lazy();
	(void)util_add("a", "{}", NULL);
	job = util_claim_one("a", NULL);
	(void)ask("SELECT 1");

	/* It goes back, and somebody else may want it. */
	finish_op(&f, job, STORE_PENDING);
	submit(&f.op, STORE_OP_FINISH, &done);
	util_claim(&c, "a", 1);
	n = c.ret_njobs;
	store_claim_clear(&c);
	rows_die();
	kv_op(&kv);
	cr_assert_eq(util_do(&kv.op, STORE_OP_KV), -1);
	await(&done);
	rows_live();
	if (f.op.rc == -1)
		cr_assert_eq(util_do(&f.op, STORE_OP_FINISH), 0);
	n += util_claimable("a");
	cr_assert_eq(n, 1, "%zu have it", n);
}

Test(store_commit, closing_answers_what_the_disk_refuses)
{
	struct store_finish f[3];
	struct store_counts n;
	int done[3];
	size_t i;

	open_lazy();
	for (i = 0; i < 3; i++) {
		(void)util_add("a", "{}", "k");
		(void)util_add("a", "{}", NULL);
	}
	/* The first of its key, and three that have none. */
	{
		struct store_claim c;

		util_claim(&c, "a", 10);
		cr_assert_eq(c.ret_njobs, 4);
		util_counts(&n, NULL);
		for (i = 0; i < 3; i++) {
			finish_op(&f[i], c.ret_jobs[i]->id, STORE_DONE);
			submit(&f[i].op, STORE_OP_FINISH, &done[i]);
		}
		store_claim_clear(&c);
	}
	(void)util_add("a", "{\"last\":1}", NULL);
	rows_die();
	util_close();
	for (i = 0; i < 3; i++) {
		cr_assert(done[i]);
		cr_assert(
		    f[i].op.rc == 0 || f[i].op.err.code == ERR_UNAVAILABLE,
		    "%s", f[i].op.err.msg);
	}
	atomic_store(&rows_dead, 0);
	limit_files(RLIM_INFINITY);
	util_open();
	util_counts(&n, NULL);
	cr_assert_eq(n.ret_deliveries, 7);
	cr_assert_eq(n.ret_jobs[STORE_PENDING] + n.ret_jobs[STORE_DONE], 7);
	for (i = 0; i < 3; i++)
		cr_assert(f[i].op.rc == -1 || n.ret_jobs[STORE_DONE] >= 1);
	check_tallies();
}

/* ---- nobody is forgotten ---- */

static int told; /* How often jobs of a script became due. */

static void
count_told(void *cookie, const char *integration, const char *script)
{
	(void)cookie;
	(void)integration;
	told += strcmp(script, "a") == 0;
}

static void
await_told(void)
{
	while (told == 0) {
		mailbox_wait(util_box, 10000);
		mailbox_open_all(util_box);
	}
}

Test(store_commit, a_burial_that_was_undone_is_done_again)
{
	struct store_counts n;
	struct store_claim c;
	struct store_kv kv;
	char path[256];
	int fd;

	open_lazy();
	store_watch(util_store, util_box, count_told, NULL);
	(void)util_add("a", "{\"first\":1}", NULL);
	util_counts(&n, NULL);
	path_of("bodies/00000001.seg", path);
	fd = open(path, O_WRONLY);
	cr_assert_eq(pwrite(fd, "XX", 2, 45), 2);
	(void)close(fd);
	util_claim(&c, "a", 1);
	cr_assert_eq(c.ret_nburied, 1);
	store_claim_clear(&c);
	mailbox_open_all(util_box);
	rows_die();
	kv_op(&kv);
	cr_assert_eq(util_do(&kv.op, STORE_OP_KV), -1);
	told = 0;
	rows_live();
	await_told();
	cr_assert_eq(util_claimable("a"), 0);
	util_counts(&n, "a");
	cr_assert_eq(n.ret_jobs[STORE_DEAD], 1);
	check_tallies();
}

Test(store_commit, a_retry_that_waits_for_its_key_is_not_forgotten)
{
	struct store_batch batch = {NULL, NULL};
	struct util_delivery d;
	struct store_finish f;
	uint64_t retry, other, due;
	int done[2];

	open_lazy();
	store_watch(util_store, util_box, count_told, NULL);
	(void)util_add("a", "{}", "k");
	retry = util_claim_one("a", NULL);
	(void)util_add("a", "{}", "k");
	due = clock_unix_ms() + 30;
	finish_op(&f, retry, STORE_RETRYING);
	f.next_unix_ms = due;
	submit(&f.op, STORE_OP_FINISH, &done[0]);
	(void)ask("SELECT 1");
	await(&done[0]);
	other = util_claim_one("a", NULL);
	cr_assert_neq(other, retry);
	while (clock_unix_ms() <= due)
		(void)usleep(1000);
	cr_assert_eq(util_claimable("a"), 0, "its key is taken");

	/* The end of the other is undone before anybody hears of it. */
	(void)ask("SELECT 1");
	limit_files(0);
	util_delivery(&d, "b", "{}");
	finish_op(&f, other, STORE_DONE);
	collect(&batch, &f.op, STORE_OP_FINISH, &done[0]);
	collect(&batch, &d.op.op, STORE_OP_APPEND, &done[1]);
	store_submit_all(util_store, &batch);
	await(&done[0]);
	await(&done[1]);
	cr_assert_eq(f.op.rc, -1);
	cr_assert_eq(d.op.op.rc, -1);
	rows_live();
	mailbox_open_all(util_box);
	told = 0;
	submit(&f.op, STORE_OP_FINISH, &done[0]);
	(void)ask("SELECT 1");
	await(&done[0]);
	cr_assert_eq(f.op.rc, 0, "%s", f.op.err.msg);
	await_told();
	cr_assert_eq(util_claim_one("a", NULL), retry);
}
