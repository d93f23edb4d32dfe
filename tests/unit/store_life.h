#ifndef TESTS_UNIT_STORE_LIFE_H_
#define TESTS_UNIT_STORE_LIFE_H_

/*
 * A scripted life of deliveries and jobs in a store, the same each time: every
 * kind of operation once at least.  After each step the store is written down
 * as text (without times), so that a test can say of a store that was cut off:
 * it must be as after the last step that was answered, or as after the next.
 */

#include <sqlite3.h>

#include "base/buf.h"

#include "store/segment.h"

#include "unit/disk.h"
#include "unit/scratch.h"
#include "unit/store_util.h"

#define LIFE_STEPS_MAX 40
#define LIFE_STAY 4     /* Deliveries that retention must not touch. */
#define LIFE_BIG 300000 /* Bytes; more than a segment file takes. */

/* How far the life has come; shared with a child process. */
struct life_progress {
	volatile size_t answered;     /* Steps. */
	volatile unsigned long calls; /* To the disk, or points, by then. */
};

struct life_ids {
	uint64_t a, b, c, job_a, job_c[2], job_b;
};

static struct life_ids life_ids;
static char life_base[40];                   /* Everything is in there. */
static char *life_snaps[LIFE_STEPS_MAX + 1]; /* Of the first life. */
static int life_stubborn; /* What fails is done again, until it goes well. */
static unsigned long life_refused;
static char life_big[LIFE_BIG + 1];

/* A failure that is not the disk's. */
static inline void
life_fail(const char *what, const struct err *err)
{
	(void)fprintf(
	    stderr, "life: %s: %s\n", what, err == NULL ? "" : err->msg);
	_exit(99);
}

/* A folder for the disks; in memory, where there is such a place. */
static inline void
life_setup(void)
{
	(void)snprintf(life_base, sizeof(life_base), "%s/moonpost-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	cr_assert_not_null(mkdtemp(life_base));
	util_box = mailbox_create(1000);
}

static inline void
life_teardown(void)
{
	struct scratch s;
	size_t i;

	disk_stop();
	store_close(util_store);
	util_store = NULL;
	mailbox_open_all(util_box);
	mailbox_free(util_box);
	for (i = 0; i <= LIFE_STEPS_MAX; i++)
		free(life_snaps[i]);
	(void)snprintf(s.dir, sizeof(s.dir), "%s", life_base);
	scratch_clear(&s);
}

/* Begin with an empty disk of that name; returns its root.  The store's folder
 * in it is util_dir, and is not there yet. */
static inline const char *
life_disk(const char *name)
{
	static char root[56];
	struct scratch s;

	(void)snprintf(root, sizeof(root), "%s/%s", life_base, name);
	(void)snprintf(s.dir, sizeof(s.dir), "%s", root);
	scratch_clear(&s);
	cr_assert_eq(mkdir(root, 0700), 0);
	(void)snprintf(util_dir, sizeof(util_dir), "%s/data", root);
	return root;
}

/* ---- operations -------------------------------------------------------------
 */

static inline void
life_await(int *done)
{
	while (!*done) {
		mailbox_wait(util_box, 10000);
		mailbox_open_all(util_box);
	}
}

static inline void
life_submit(struct store_op *op, enum store_kind kind, int *done)
{
	struct err err = ERR_INIT;

	*done = 0;
	op->kind = kind;
	op->reply_to = util_box;
	op->done = util_done;
	op->cookie = done;
	if (store_submit(util_store, op, &err) == -1)
		life_fail("submit", &err);
}

/* Do an operation; again where the disk refused, if that is what is tested. */
static inline void
life_do(struct store_op *op, enum store_kind kind)
{
	int done;

	for (;;) {
		life_submit(op, kind, &done);
		life_await(&done);
		if (op->rc == 0)
			return;
		if (!life_stubborn || op->err.code != ERR_UNAVAILABLE)
			life_fail("operation", &op->err);
		life_refused++;
	}
}

static inline void
life_open(uint64_t retain_ms)
{
	struct store_options o = util_options();
	struct err err = ERR_INIT;

	o.retain_done_ms = retain_ms;
	o.segment_bytes = 1; /* The least that there is. */
	while (store_open(&o, &util_store, &err) == -1) {
		if (!life_stubborn || err.code != ERR_UNAVAILABLE)
			life_fail("open", &err);
		life_refused++;
	}
}

static inline void
life_delivery(struct util_delivery *d, const char *body, const char *key,
    const char *order, const char *script)
{
	util_delivery(d, script, body);
	d->op.idempotency_key = key;
	d->op.dedupe_key = str_of(key);
	d->op.signature = str_of(body);
	d->jobs[0].order_key = str_of(order);
}

static inline uint64_t
life_append(
    const char *body, const char *key, const char *order, const char *script)
{
	struct util_delivery d;

	life_delivery(&d, body, key, order, script);
	life_do(&d.op.op, STORE_OP_APPEND);
	return d.op.ret_id;
}

/* Claim; returns how many, and the first few ids. */
static inline size_t
life_claim(const char *script, size_t max, uint64_t *ids, size_t nids)
{
	struct store_claim c;
	size_t n, i;

	(void)memset(&c, 0, sizeof(c));
	c.integration = "default";
	c.script = script;
	c.max = max;
	life_do(&c.op, STORE_OP_CLAIM);
	n = c.ret_njobs;
	for (i = 0; i < n && i < nids; i++)
		ids[i] = c.ret_jobs[i]->id;
	store_claim_clear(&c);
	return n;
}

static inline void
life_finish(uint64_t job, enum store_state state)
{
	struct store_finish f;
	struct store_run run;

	(void)memset(&f, 0, sizeof(f));
	(void)memset(&run, 0, sizeof(run));
	run.outcome = state == STORE_DONE ? "done" : "error";
	run.error = state == STORE_DONE ? NULL : "x.lua:1: boom";
	run.log_json = STR("[{\"message\":\"hello\"}]");
	f.job_id = job;
	f.state = state;
	f.next_unix_ms = 1;
	f.run = state == STORE_PENDING ? NULL : &run;
	life_do(&f.op, STORE_OP_FINISH);
}

static inline void
life_kv(enum store_kv_kind what, const char *key, const char *value)
{
	struct store_kv kv;

	(void)memset(&kv, 0, sizeof(kv));
	kv.what = what;
	kv.integration = "default";
	kv.key = str_of(key);
	kv.value_json = str_of(value);
	kv.by = 1;
	life_do(&kv.op, STORE_OP_KV);
	free(kv.ret_json);
}

/* ---- the steps --------------------------------------------------------------
 */

static inline void
life_step_first(void)
{
	life_ids.a = life_append("{\"n\":\"a\"}", "key-a", "k", "jira");
}

static inline void
life_step_blocked(void)
{
	life_ids.b = life_append("{\"n\":\"b\"}", "key-b", "k", "jira");
}

static inline void
life_step_two_jobs(void)
{
	static char body[20001];
	struct util_delivery d;

	(void)memset(body, 'c', sizeof(body) - 1);
	life_delivery(&d, body, "key-c", "other", "jira");
	d.op.njobs = 2;
	d.jobs[1].script = "slack";
	d.jobs[1].handler = "on_event";
	life_do(&d.op.op, STORE_OP_APPEND);
	life_ids.c = d.op.ret_id;
}

static inline void
life_step_again(void)
{
	if (life_append("{\"n\":\"a\"}", "key-a", "k", "jira") != life_ids.a)
		life_fail("a duplicate was taken for new", NULL);
}

static inline void
life_step_invalid(void)
{
	struct util_delivery d;

	life_delivery(&d, "{\"bad\":1}", "key-i", "", "jira");
	d.op.state = STORE_INVALID;
	d.op.violation_pointer = "/x";
	d.op.violation_message = "is missing";
	d.op.njobs = 0;
	life_do(&d.op.op, STORE_OP_APPEND);
}

/* Several that share a commit, by luck. */
static inline void
life_step_burst(void)
{
	static const char *const bodies[] = {"{\"n\":1}", "{\"n\":2}",
	    "{\"n\":3}", "{\"n\":4}", "{\"n\":5}", "{\"n\":6}"};
	static const char *const keys[] = {
	    "key-1", "key-2", "key-3", "key-4", "key-5", "key-6"};
	struct util_delivery d[6];
	int done[6];
	size_t i;

	for (i = 0; i < 6; i++) {
		life_delivery(&d[i], bodies[i], keys[i], "", "pager");
		life_submit(&d[i].op.op, STORE_OP_APPEND, &done[i]);
	}
	for (i = 0; i < 6; i++)
		life_await(&done[i]);
	for (i = 0; i < 6; i++) {
		if (d[i].op.op.rc == 0)
			continue;
		if (!life_stubborn)
			life_fail("burst", &d[i].op.op.err);
		life_refused++;
		life_do(&d[i].op.op, STORE_OP_APPEND);
	}
}

static inline void
life_step_claim(void)
{
	uint64_t ids[2];

	/* b waits for a. */
	if (life_claim("jira", 10, ids, 2) != 2)
		life_fail("claim jira", NULL);
	life_ids.job_a = ids[0];
	life_ids.job_c[0] = ids[1];
	if (life_claim("slack", 10, &life_ids.job_c[1], 1) != 1)
		life_fail("claim slack", NULL);
}

static inline void
life_step_step(void)
{
	struct store_step_put s;

	(void)memset(&s, 0, sizeof(s));
	s.job_id = life_ids.job_c[0];
	s.name = STR("ticket");
	s.result_json = STR("\"OPS-1\"");
	life_do(&s.op, STORE_OP_STEP);
}

static inline void
life_step_kv(void)
{
	life_kv(STORE_KV_SET, "colour", "\"blue\"");
}

static inline void
life_step_count(void)
{
	life_kv(STORE_KV_INCR, "seen", "");
}

static inline void
life_step_forget(void)
{
	life_kv(STORE_KV_DELETE, "colour", "");
}

static inline void
life_step_done(void)
{
	life_finish(life_ids.job_a, STORE_DONE);
}

static inline void
life_step_retry(void)
{
	life_finish(life_ids.job_c[0], STORE_RETRYING);
}

static inline void
life_step_dead(void)
{
	life_finish(life_ids.job_c[1], STORE_DEAD);
}

/* The next of its key, which goes back unharmed. */
static inline void
life_step_put_back(void)
{
	uint64_t ids[2];
	size_t n, i;

	n = life_claim("jira", 10, ids, 2);
	if (n != 2)
		life_fail("claim what was let go", NULL);
	for (i = 0; i < n; i++)
		life_finish(ids[i], STORE_PENDING);
}

static inline void
life_step_replay(void)
{
	struct store_replay r;

	(void)memset(&r, 0, sizeof(r));
	r.id = life_ids.c;
	life_do(&r.op, STORE_OP_REPLAY);
	free(r.ret_json);
	if (r.ret_count != 2)
		life_fail("replay", NULL);
}

/* What a passive checkpoint does, the next commit begins the log anew. */
static inline void
life_step_checkpoint(void)
{
	char path[256];
	sqlite3 *db;
	int rc;

	(void)snprintf(path, sizeof(path), "%s/moonpost.db", util_dir);
	rc = sqlite3_open(path, &db);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db,
		    "PRAGMA synchronous = FULL;"
		    "PRAGMA wal_checkpoint(PASSIVE)",
		    NULL, NULL, NULL);
	if (rc != SQLITE_OK && !life_stubborn)
		life_fail(sqlite3_errmsg(db), NULL);
	(void)sqlite3_close(db);
}

/* More than the segment file has room for; the next begins a new one. */
static inline void
life_step_big(void)
{
	(void)memset(life_big, 'x', LIFE_BIG);
	(void)life_append(life_big, "key-big", "", "pager");
}

static inline void
life_step_next_segment(void)
{
	(void)life_append("{\"n\":\"next\"}", "key-next", "", "pager");
}

static inline void
life_step_reopen(void)
{
	util_close();
	life_open(0);
}

static inline void
life_step_discard(void)
{
	struct store_discard d;

	(void)memset(&d, 0, sizeof(d));
	d.integration = "default";
	d.script = "slack";
	life_do(&d.op, STORE_OP_DISCARD);
	if (d.ret_count != 1)
		life_fail("discard", NULL);
}

static inline void
life_step_run_pager(void)
{
	uint64_t ids[8];
	size_t n, i;

	n = life_claim("pager", 8, ids, 8);
	if (n != 8)
		life_fail("claim pager", NULL);
	for (i = 0; i < n; i++)
		life_finish(ids[i], STORE_DONE);
}

static inline void
life_step_last(void)
{
	(void)life_append("{\"n\":\"last\"}", "key-last", "", "pager");
}

static inline int
life_gone(const char *segment)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/bodies/%s", util_dir, segment);
	return access(path, F_OK) == -1;
}

/* What is done goes at once; bodies that stay are moved out of its segment. */
static inline void
life_step_retain(void)
{
	struct store_counts c;

	util_close();
	life_open(1);
	do {
		(void)usleep(1000);
		(void)memset(&c, 0, sizeof(c));
		life_do(&c.op, STORE_OP_COUNTS);
	} while (c.ret_deliveries > LIFE_STAY || !life_gone("00000001.seg"));
}

struct life_step {
	const char *name;
	void (*run)(void);
	int several; /* More than one commit: it can be there in part. */
};

static const struct life_step life_steps[] = {
    {"first", life_step_first, 0},
    {"blocked", life_step_blocked, 0},
    {"two jobs", life_step_two_jobs, 0},
    {"again", life_step_again, 0},
    {"invalid", life_step_invalid, 0},
    {"burst", life_step_burst, 1},
    {"claim", life_step_claim, 0},
    {"step", life_step_step, 0},
    {"kv", life_step_kv, 0},
    {"checkpoint", life_step_checkpoint, 0},
    {"count", life_step_count, 0},
    {"forget", life_step_forget, 0},
    {"done", life_step_done, 0},
    {"retry", life_step_retry, 0},
    {"dead", life_step_dead, 0},
    {"put back", life_step_put_back, 0},
    {"replay", life_step_replay, 0},
    {"big", life_step_big, 0},
    {"reopen", life_step_reopen, 0},
    {"next segment", life_step_next_segment, 0},
    {"discard", life_step_discard, 0},
    {"run pager", life_step_run_pager, 1},
    {"last", life_step_last, 0},
    {"retain", life_step_retain, 1},
};
#define LIFE_STEPS NELEMS(life_steps)
static size_t life_steps_done = LIFE_STEPS; /* Fewer, if a test wants. */

/* ---- the store as text ------------------------------------------------------
 */

static inline void
life_rows(sqlite3 *db, const char *sql, struct buf *out)
{
	sqlite3_stmt *stmt;
	int i;

	(void)sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		for (i = 0; i < sqlite3_column_count(stmt); i++)
			buf_printf(out, "%s%s", i == 0 ? "" : "|",
			    (const char *)sqlite3_column_text(stmt, i));
		buf_putc(out, '\n');
	}
	if (sqlite3_finalize(stmt) != SQLITE_OK || stmt == NULL)
		buf_printf(out, "ERROR: %s\n", sqlite3_errmsg(db));
}

/* Read a body: from its segment, or where retention has moved it. */
static inline int
life_body(sqlite3 *db, struct segment_reader *reader,
    const struct segment_ref *ref, uint64_t id,
    struct segment_record *ret_record, struct err *err)
{
	sqlite3_stmt *stmt;
	char *copy = NULL;
	size_t len = 0;

	if (ref->file != 0)
		return segment_read(reader, ref, id, ret_record, err);
	(void)sqlite3_prepare_v2(
	    db, "SELECT record FROM body WHERE id = ?", -1, &stmt, NULL);
	(void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)id);
	if (sqlite3_step(stmt) == SQLITE_ROW) {
		len = (size_t)sqlite3_column_bytes(stmt, 0);
		copy = mem_strndup(sqlite3_column_blob(stmt, 0), len);
	}
	(void)sqlite3_finalize(stmt);
	return segment_parse(copy, len, id, ret_record, err);
}

/* What is said of a delivery, and whether its body is whole. */
static inline void
life_deliveries(sqlite3 *db, struct buf *out)
{
	struct segment_reader *reader;
	struct segment_record record;
	struct segment_ref ref;
	struct err err = ERR_INIT;
	sqlite3_stmt *stmt;
	char path[256];
	int i;

	(void)snprintf(path, sizeof(path), "%s/bodies", util_dir);
	reader = segment_reader_create(path);
	(void)sqlite3_prepare_v2(db,
	    "SELECT file, offset, len, id, state, resource, idempotency_key,"
	    " repeats, pointer, size FROM delivery ORDER BY id",
	    -1, &stmt, NULL);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		ref.file = (uint64_t)sqlite3_column_int64(stmt, 0);
		ref.offset = (uint64_t)sqlite3_column_int64(stmt, 1);
		ref.len = (uint64_t)sqlite3_column_int64(stmt, 2);
		buf_puts(out, "delivery ");
		for (i = 3; i < sqlite3_column_count(stmt); i++)
			buf_printf(out, "%s|",
			    (const char *)sqlite3_column_text(stmt, i));
		if (life_body(db, reader, &ref,
			(uint64_t)sqlite3_column_int64(stmt, 3), &record,
			&err) == -1) {
			buf_printf(out, "BROKEN: %s\n", err.msg);
			continue;
		}
		buf_printf(out, "%llx\n",
		    (unsigned long long)checksum_hash(record.body, 0));
		free(record.memory);
	}
	if (sqlite3_finalize(stmt) != SQLITE_OK || stmt == NULL)
		buf_printf(out, "ERROR: %s\n", sqlite3_errmsg(db));
	segment_reader_free(reader);
}

/* The open store in util_dir; the caller frees with free(). */
static inline char *
life_text(void)
{
	struct buf out = BUF_INIT;
	struct store_counts seen;
	char path[256], *text;
	sqlite3 *db;

	util_counts(&seen, NULL); /* What is read is committed first. */
	(void)snprintf(path, sizeof(path), "%s/moonpost.db", util_dir);
	(void)sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
	life_deliveries(db, &out);
	life_rows(db,
	    "SELECT 'job', id, script, handler, state, due IS NULL, due > 0,"
	    " failed, attempts, runs, has_steps, order_key"
	    " FROM job ORDER BY id",
	    &out);
	life_rows(db,
	    "SELECT 'run', job, n, outcome, error, log FROM run"
	    " ORDER BY job, n",
	    &out);
	life_rows(db,
	    "SELECT 'step', job, name, result FROM step ORDER BY job, n", &out);
	life_rows(db,
	    "SELECT 'kv', integration, key, value FROM kv ORDER BY key", &out);
	life_rows(db,
	    "SELECT 'tally', script, state, n FROM tally WHERE n <> 0"
	    " ORDER BY script, state",
	    &out);
	life_rows(db, "PRAGMA integrity_check", &out);
	(void)sqlite3_close(db);
	text = mem_strdup(buf_text(&out));
	buf_free(&out);
	return text;
}

static inline int
life_has_line(const char *text, const char *line, size_t len)
{
	const char *at = text;

	for (; *at != '\0'; at = strchr(at, '\n') + 1) {
		if (strncmp(at, line, len) == 0)
			return 1;
	}
	return 0;
}

/* Whether a text can be of a moment between ${before} and ${after}: it has what
 * both have, and nothing that neither has. */
static inline int
life_between(const char *text, const char *before, const char *after)
{
	const char *at;
	size_t len;

	for (at = text; *at != '\0'; at += len) {
		len = strcspn(at, "\n") + 1;
		if (!life_has_line(before, at, len) &&
		    !life_has_line(after, at, len))
			return 0;
	}
	for (at = before; *at != '\0'; at += len) {
		len = strcspn(at, "\n") + 1;
		if (life_has_line(after, at, len) &&
		    !life_has_line(text, at, len))
			return 0;
	}
	return 1;
}

/* The lines of deliveries alone. */
static inline char *
life_only_deliveries(const char *text)
{
	const char *end = text;

	while (strncmp(end, "delivery ", 9) == 0)
		end = strchr(end, '\n') + 1;
	return mem_strndup(text, (size_t)(end - text));
}

/* ---- living, and judging what is left ---------------------------------------
 */

/*
 * Live the whole life.  ${progress} may be NULL; with ${keep} the texts are
 * kept, which later lives are judged by.
 */
static inline void
life_live(struct life_progress *progress, int keep)
{
	size_t i;

	life_open(0);
	if (keep)
		life_snaps[0] = life_text();
	disk_mark(0);
	for (i = 0; i < life_steps_done; i++) {
		life_steps[i].run();
		disk_mark(i + 1);
		if (progress != NULL)
			progress->answered = i + 1;
		if (keep)
			life_snaps[i + 1] = life_text();
		if (keep && strstr(life_snaps[i + 1], "ERROR") != NULL)
			life_fail(life_snaps[i + 1], NULL);
	}
	util_close();
}

/*
 * Say what is wrong with the open store after ${answered} steps; NULL: nothing.
 * The caller frees with free().
 */
static inline char *
life_judge(size_t answered)
{
	const char *before = life_snaps[answered];
	const char *after =
	    life_snaps[answered < LIFE_STEPS ? answered + 1 : answered];
	char *text = life_text(), *parts[3], *wrong = NULL;
	int good = strcmp(text, before) == 0 || strcmp(text, after) == 0;

	if (!good && answered < LIFE_STEPS && life_steps[answered].several) {
		parts[0] = life_only_deliveries(text);
		parts[1] = life_only_deliveries(before);
		parts[2] = life_only_deliveries(after);
		good = life_between(parts[0], parts[1], parts[2]);
		free(parts[0]);
		free(parts[1]);
		free(parts[2]);
	}
	if (!good)
		wrong = mem_printf("after %zu steps (then: %s) there is\n%s"
				   "instead of\n%sor\n%s",
		    answered,
		    answered < LIFE_STEPS ? life_steps[answered].name
					  : "the end",
		    text, before, after);
	free(text);
	return wrong;
}

/*
 * Whether the open store can go on after ${answered} steps: repeated deliveries
 * are known, ids are new, every job can be run to its end.  NULL if so.
 */
static inline char *
life_go_on(size_t answered)
{
	static const char *const scripts[] = {"jira", "slack", "pager"};
	struct util_delivery d;
	struct store_claim c;
	uint64_t id, last;
	size_t i, k, n;

	if (answered >= 1 &&
	    life_append("{\"n\":\"a\"}", "key-a", "k", "jira") != life_ids.a)
		return mem_printf("what was answered is taken for new");
	if (answered >= 3) {
		life_delivery(&d, "", "key-c", "", "jira");
		life_do(&d.op.op, STORE_OP_APPEND);
		if (!d.op.ret_duplicate || d.op.ret_id != life_ids.c)
			return mem_printf("key-c is taken for new");
	}
	last = life_append("{}", "key-new", "", "jira");
	id = life_append("{}", "key-newer", "", "jira");
	if (id <= last || last <= (answered >= 3 ? life_ids.c : 0))
		return mem_printf("id %llu is used again",
		    (unsigned long long)(id <= last ? id : last));
	for (i = 0; i < NELEMS(scripts); i++) {
		do {
			(void)memset(&c, 0, sizeof(c));
			c.integration = "default";
			c.script = scripts[i];
			c.max = 100;
			life_do(&c.op, STORE_OP_CLAIM);
			n = c.ret_njobs;
			for (k = 0; k < n; k++)
				life_finish(c.ret_jobs[k]->id, STORE_DONE);
			store_claim_clear(&c);
		} while (n > 0);
	}
	return NULL;
}

#endif /* !TESTS_UNIT_STORE_LIFE_H_ */
