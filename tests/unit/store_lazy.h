#ifndef TESTS_UNIT_STORE_LAZY_H_
#define TESTS_UNIT_STORE_LAZY_H_

/*
 * A store that commits rows only when it has to, on a disk that can refuse them
 * while it takes the log.
 */

#include <sys/resource.h>

#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "store/store_internal.h"

#include "unit/store_util.h"

#define NEVER_MS 60000 /* No commit comes by itself while a test runs. */

/* ---- when rows are committed ---- */

static atomic_int commits;   /* That went well. */
static atomic_int rows_dead; /* Rows cannot be written, the log can. */
static atomic_int doomed;    /* Rather than commit, the process exits. */

#define COMMITS 4 /* How it exits then. */

/* Let no file grow beyond ${bytes}. */
static inline void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	(void)getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	(void)setrlimit(RLIMIT_FSIZE, &limit);
}

static inline void
at_point(const char *point)
{
	if (strcmp(point, "commit: rows are durable") == 0)
		(void)atomic_fetch_add(&commits, 1);
	else if (atomic_load(&rows_dead) && strcmp(point, "sync: begin") == 0)
		limit_files(RLIM_INFINITY);
	else if (atomic_load(&rows_dead) && strcmp(point, "commit: begin") == 0)
		limit_files(0);
	else if (atomic_load(&doomed) && strcmp(point, "commit: begin") == 0)
		_exit(COMMITS);
}

static inline struct store_options
lazy_options(void)
{
	struct store_options o = util_options();

	o.commit_ms = NEVER_MS;
	return o;
}

/* Open a store that commits only when it has to, or once a second to look for
 * what is old; the first of these is over. */
static inline void
open_lazy(void)
{
	struct store_options o = lazy_options();

	(void)signal(SIGXFSZ, SIG_IGN);
	store_fault_hook = at_point;
	util_open_with(&o);
	while (atomic_load(&commits) == 0)
		(void)sched_yield();
}

static inline void
rows_die(void)
{
	atomic_store(&rows_dead, 1);
}

/* The disk is well again; wait until the store has found out. */
static inline void
rows_live(void)
{
	atomic_store(&rows_dead, 0);
	limit_files(RLIM_INFINITY);
	while (!store_usable(util_store))
		(void)usleep(1000);
}

/* Hand in an operation that is not waited for. */
static inline void
submit(struct store_op *op, enum store_kind kind, int *done)
{
	struct err err = ERR_INIT;

	*done = 0;
	op->kind = kind;
	op->reply_to = util_box;
	op->done = util_done;
	op->cookie = done;
	cr_assert_eq(store_submit(util_store, op, &err), 0, "%s", err.msg);
}

static inline void
collect(struct store_batch *batch, struct store_op *op, enum store_kind kind,
    int *done)
{
	struct err err = ERR_INIT;

	*done = 0;
	op->kind = kind;
	op->reply_to = util_box;
	op->done = util_done;
	op->cookie = done;
	cr_assert_eq(
	    store_collect(util_store, batch, op, &err), 0, "%s", err.msg);
}

static inline void
await(const int *done)
{
	while (!*done) {
		mailbox_wait(util_box, 10000);
		mailbox_open_all(util_box);
	}
}

static inline void
finish_op(struct store_finish *f, uint64_t job, enum store_state state)
{
	static const struct store_run run = {.outcome = "done"};

	(void)memset(f, 0, sizeof(*f));
	f->job_id = job;
	f->state = state;
	f->next_unix_ms = 1;
	f->run = state == STORE_PENDING ? NULL : &run;
}

static inline void
kv_op(struct store_kv *kv)
{
	(void)memset(kv, 0, sizeof(*kv));
	kv->what = STORE_KV_SET;
	kv->integration = "default";
	kv->key = STR("k");
	kv->value_json = STR("1");
}

/* ---- what the rows say ---- */

static inline void
path_of(const char *name, char path[static 256])
{
	(void)snprintf(path, 256, "%s/%s", util_dir, name);
}

/* One number from the database; all is committed first. */
static inline uint64_t
ask(const char *sql)
{
	struct store_counts seen;
	sqlite3_stmt *stmt;
	char path[256];
	uint64_t n;
	sqlite3 *db;

	util_counts(&seen, NULL);
	path_of("moonpost.db", path);
	cr_assert_eq(
	    sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	cr_assert_eq(
	    sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s", sql);
	cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW, "%s", sql);
	n = (uint64_t)sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return n;
}

/* The counts that are kept are those of the rows. */
static inline void
check_tallies(void)
{
#define KEPT "SELECT script, state, n FROM tally WHERE n <> 0"
#define THERE                                                                  \
	"SELECT script, state, count(*) FROM job GROUP BY script, state"       \
	" UNION ALL SELECT 0, 0, count(*) FROM delivery HAVING count(*) > 0"   \
	" UNION ALL SELECT 0, state, count(*) FROM delivery"                   \
	" WHERE state IS NOT NULL GROUP BY state"
	cr_expect_eq(ask("SELECT count(*) FROM (SELECT * FROM (" KEPT
			 ") EXCEPT SELECT * FROM (" THERE "))"),
	    0);
	cr_expect_eq(ask("SELECT count(*) FROM (SELECT * FROM (" THERE
			 ") EXCEPT SELECT * FROM (" KEPT "))"),
	    0);
}

static inline uint64_t
add_key(const char *script, const char *dedupe, int *ret_duplicate)
{
	struct util_delivery d;
	uint64_t id;

	util_delivery(&d, script, "{}");
	d.op.dedupe_key = str_of(dedupe);
	id = util_append(&d);
	*ret_duplicate = d.op.ret_duplicate;
	return id;
}

/* Append what is due at 1000 and another delivery, in one group. */
static inline void
append_due(struct util_delivery *due, struct util_delivery *other)
{
	struct store_batch batch = {NULL, NULL};
	int done[2];

	util_delivery(due, "a", "{}");
	due->op.schedule = "nightly";
	due->op.schedule_script = "a";
	due->op.due_unix_s = 1000;
	util_delivery(other, "b", "{}");
	collect(&batch, &due->op.op, STORE_OP_APPEND, &done[0]);
	collect(&batch, &other->op.op, STORE_OP_APPEND, &done[1]);
	store_submit_all(util_store, &batch);
	await(&done[0]);
	await(&done[1]);
}

#endif /* !TESTS_UNIT_STORE_LAZY_H_ */
