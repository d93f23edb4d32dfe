/*
 * What is unlikely and happens all the same: a clock that is set, bodies that
 * are not where they were, ids that run out, a list that fails half way.
 */

#include <signal.h>
#include <sqlite3.h>

#include "store_util.h"

#include "store/seen.h"
#include "store/store_internal.h"

#define YEAR_MS (365 * UINT64_C(86400000))

TestSuite(
    store_odds, .init = util_setup, .fini = util_teardown, .timeout = 120);

/* Change the closed store by hand. */
static void
change(const char *sql)
{
	char *path = mem_printf("%s/moonpost.db", util_dir);
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s",
	    sqlite3_errmsg(db));
	(void)sqlite3_close(db);
	free(path);
}

/* One number of the closed store. */
static uint64_t
look(const char *sql)
{
	char *path = mem_printf("%s/moonpost.db", util_dir);
	sqlite3_stmt *stmt;
	sqlite3 *db;
	uint64_t n;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
	n = (uint64_t)sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	free(path);
	return n;
}

/* ---- a clock that is set ---- */

/* When the next retry of a script is due, in ms from now. */
static int64_t
next_retry_in(const char *script)
{
	struct store_claim c;

	util_claim(&c, script, 1);
	cr_assert_eq(c.ret_njobs, 0);
	cr_assert_neq(c.ret_next_unix_ms, 0);
	store_claim_clear(&c);
	return (int64_t)(c.ret_next_unix_ms - clock_unix_ms());
}

Test(store_odds, a_retry_does_not_wait_for_a_clock_that_was_set_back)
{
	int i;

	/* They failed while the clock was a year ahead. */
	util_open();
	for (i = 0; i < 100; i++)
		(void)util_add("s", "{}", NULL);
	(void)util_add("t", "{}", NULL);
	for (i = 0; i < 100; i++)
		cr_assert_eq(util_finish(util_claim_one("s", NULL),
				 STORE_RETRYING, clock_unix_ms() + HOUR_MS),
		    0);
	cr_assert_eq(util_finish(util_claim_one("t", NULL), STORE_RETRYING,
			 clock_unix_ms() + 1),
	    0);
	util_close();
	change("UPDATE job SET due = due + 31536000000,"
	       " ended = ended + 31536000000");
	util_open();
	while (next_retry_in("s") > (int64_t)YEAR_MS / 2)
		(void)usleep(1000);
	cr_assert_leq(next_retry_in("s"), HOUR_MS);
	cr_assert_gt(next_retry_in("s"), HOUR_MS / 2, "it still has to wait");
	while (util_claimable("t") == 0)
		(void)usleep(1000);
	util_close();
	cr_assert_eq(look("SELECT count(*) FROM job WHERE due > ended + "
			  "3600000 OR due < ended"),
	    0);
}

Test(store_odds, a_retry_far_in_the_future_stays_there)
{
	/* event:retry{after=} may say so. */
	util_open();
	(void)util_add("s", "{}", NULL);
	cr_assert_eq(util_finish(util_claim_one("s", NULL), STORE_RETRYING,
			 clock_unix_ms() + YEAR_MS),
	    0);
	util_close();
	util_open();
	(void)util_add("s", "{}", NULL);
	cr_assert_eq(util_run_all("s", STORE_DONE), 1);
	cr_assert_gt(next_retry_in("s"), (int64_t)YEAR_MS / 2);
}

static int64_t
add_key(const char *key)
{
	struct util_delivery d;

	util_delivery(&d, "s", "{}");
	d.op.dedupe_key = str_of(key);
	(void)util_append(&d);
	return d.op.ret_duplicate ? -(int64_t)d.op.ret_id
				  : (int64_t)d.op.ret_id;
}

Test(store_odds, keys_of_a_clock_that_was_ahead_are_forgotten_in_time)
{
	struct store_options o = util_options();

	util_open();
	cr_assert_eq(add_key("a"), 1);
	util_close();
	change("UPDATE seen SET at = at + 31536000000");
	util_open();
	cr_assert_eq(add_key("a"), -1, "not before it is time");
	util_close();
	o.dedupe_window_ms = 100;
	util_open_with(&o);
	while (add_key("a") == -1)
		(void)usleep(1000);
}

Test(store_odds, windows_of_time_move_with_the_marks)
{
	struct seen *seen = seen_create(10000);
	struct seen_entry e = seen_hash(STR("k"), STR("s"));

	seen_advance(seen, 5000000, 5);
	e.id = 5;
	seen_add(seen, &e);
	seen_advance(seen, 5006000, 6);

	/* It is earlier than was thought: what is remembered is as old as it
	 * was, counted from now. */
	seen_set_back(seen, 1000000);
	seen_advance(seen, 1003000, 7);
	cr_assert_eq(seen_by_key(seen, &e), 5);
	seen_advance(seen, 1004100, 7);
	cr_assert_eq(seen_by_key(seen, &e), 0);

	/* Later than was thought: nothing to set back. */
	seen_set_back(seen, 2000000);
	e.id = 7;
	seen_add(seen, &e);
	cr_assert_eq(seen_by_key(seen, &e), 7);
	seen_free(seen);
}

Test(store_odds, what_came_from_the_future_does_not_keep_the_rest)
{
	struct store_options o = util_options();
	struct store_counts n;
	int i;

	util_open();
	for (i = 0; i < 5; i++)
		(void)util_add("s", "{}", NULL);
	cr_assert_eq(util_run_all("s", STORE_DONE), 5);
	util_close();
	change("UPDATE delivery SET received = received + 31536000000"
	       " WHERE id = 1");
	o.retain_done_ms = 1;
	util_open_with(&o);
	do {
		(void)usleep(1000);
		util_counts(&n, NULL);
	} while (n.ret_deliveries > 1);
}

/* ---- bodies that are not there ---- */

Test(store_odds, bodies_that_are_all_gone_are_told_at_the_start)
{
	struct store_options o = util_options();
	struct err err = ERR_INIT;
	char *bodies = mem_printf("%s/bodies", util_dir);
	char *aside = mem_printf("%s/aside", util_dir);

	util_open();
	(void)util_add("s", "{\"n\":1}", NULL);
	util_close();
	cr_assert_eq(rename(bodies, aside), 0);
	cr_assert_eq(store_open(&o, &util_store, &err), -1);
	util_store = NULL;
	cr_assert_eq(err.code, ERR_INVALID);
	cr_assert_not_null(strstr(err.msg, bodies), "%s", err.msg);
	cr_assert_not_null(strstr(err.msg, "put back"), "%s", err.msg);

	/* And it is as it was once they are back. */
	(void)rmdir(bodies);
	cr_assert_eq(rename(aside, bodies), 0);
	util_open();
	cr_assert_eq(util_run_all("s", STORE_DONE), 1);
	free(bodies);
	free(aside);
}

/* ---- ids ---- */

Test(store_odds, no_id_is_used_twice_when_they_run_out)
{
	struct util_delivery d;
	struct store_claim c;

	util_open();
	util_close();
	change("INSERT INTO meta VALUES ('last_id', 1099511627774)");
	util_open();
	cr_assert_eq(add_key("a"), INT64_C(1099511627775));
	cr_assert_eq(add_key("a"), -INT64_C(1099511627775));
	util_delivery(&d, "s", "{}");
	cr_assert_eq(util_do(&d.op.op, STORE_OP_APPEND), -1);
	cr_assert_eq(d.op.op.err.code, ERR_UNAVAILABLE);
	cr_assert_not_null(strstr(d.op.op.err.msg, "ids"));

	/* What is there goes on. */
	util_claim(&c, "s", 10);
	cr_assert_eq(c.ret_njobs, 1);
	cr_assert_eq(c.ret_jobs[0]->delivery_id, UINT64_C(1099511627775));
	cr_assert_eq(util_finish(c.ret_jobs[0]->id, STORE_DONE, 0), 0);
	store_claim_clear(&c);
}

/* ---- a reader that fails half way ---- */

Test(store_odds, a_read_that_ran_out_of_time_leaves_no_old_view)
{
	struct store_options o = util_options();
	static struct store_new_job jobs[1000];
	struct util_delivery d;
	struct store_counts n;
	struct store_get get;
	size_t i;

	o.read_limit_ms = 1;
	util_open_with(&o);
	util_delivery(&d, "s", "{}");
	for (i = 0; i < NELEMS(jobs); i++)
		jobs[i] = (struct store_new_job){"s", "on_issue", STR("")};
	d.op.jobs = jobs;
	d.op.njobs = NELEMS(jobs);
	(void)util_append(&d);
	(void)memset(&get, 0, sizeof(get));
	get.id = 1;
	i = 0;
	do {
		cr_assert_lt(i++, 10000, "it never took a millisecond");
		free(get.ret_json);
		(void)memset(&get.op, 0, sizeof(get.op));
		get.ret_json = NULL;
	} while (util_do(&get.op, STORE_OP_GET) == 0);
	cr_assert_eq(get.op.err.code, ERR_TIMEOUT, "%s", get.op.err.msg);
	for (i = 2; i < 10; i++) {
		(void)util_add("s", "{}", NULL);
		(void)memset(&n, 0, sizeof(n));
		while (util_do(&n.op, STORE_OP_COUNTS) == -1)
			(void)memset(&n, 0, sizeof(n));
		cr_assert_eq(n.ret_deliveries, i);
	}
}
