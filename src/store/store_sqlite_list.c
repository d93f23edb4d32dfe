#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

#include "store/store_sqlite_internal.h"

#define BATCH 200 /* Deliveries that are looked at in one go. */
#define PAGE 50   /* Deliveries of a page, by default and at most. */
#define PAGE_MAX 500
#define SCRIPTS_MAX 256 /* That are looked at one by one for a list. */
#define SLACK_MS 60000  /* By which arrival and id may be out of step. */

/* The ids in one column, without repetition, below op->before_id. */
static int
read_ids(struct sq *sq, sqlite3_stmt *stmt, uint64_t *ids, struct err *err)
{
	int n = 0, rc = 0;
	uint64_t id;

	while (n < BATCH && (rc = sq_row(&sq->rconn, stmt, err)) == 1) {
		id = sq_u64(stmt, 0);
		if (n == 0 || ids[n - 1] != id)
			ids[n++] = id;
	}
	(void)sqlite3_reset(stmt);
	return rc == -1 ? -1 : n;
}

static int
downward(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x > y ? -1 : x < y;
}

/* Deliveries with a job that runs. */
static int
running_deliveries(struct sq *sq, uint64_t before, uint64_t *ids)
{
	uint64_t *jobs, id;
	size_t total, i;
	int n = 0;

	jobs = running_ids(sq->running, &total);
	if (total > 1)
		qsort(jobs, total, sizeof(*jobs), downward);
	for (i = 0; i < total && n < BATCH; i++) {
		id = jobs[i] >> SQ_JOB_BITS;
		if (id < before && (n == 0 || ids[n - 1] != id))
			ids[n++] = id;
	}
	free(jobs);
	return n;
}

/* Put ids into a list that has the newest first, each once, and cut it. */
static int
merge_ids(uint64_t *ids, int n, const uint64_t *more, int nmore)
{
	uint64_t all[2 * BATCH];
	int i, count = 0;

	for (i = 0; i < n; i++)
		all[i] = ids[i];
	for (i = 0; i < nmore; i++)
		all[n + i] = more[i];
	qsort(all, (size_t)(n + nmore), sizeof(*all), downward);
	for (i = 0; i < n + nmore && count < BATCH; i++) {
		if (count == 0 || ids[count - 1] != all[i])
			ids[count++] = all[i];
	}
	return count;
}

/* The ids of the scripts that a filter is about, in one go. */
static int
script_ids(struct sq *sq, const struct store_list *op, uint64_t *ids, int max,
    struct err *err)
{
	sqlite3_stmt *stmt;
	int n = 0, rc = 0;

	stmt = sq_get(&sq->rconn, SQ_LIST_SCRIPTS,
	    "SELECT id FROM script WHERE (?1 IS NULL OR name = ?1)"
	    " AND (?2 IS NULL OR integration = ?2)",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind_text(stmt, 1, op->script);
	sq_bind_text(stmt, 2, op->integration);
	while (n < max && (rc = sq_row(&sq->rconn, stmt, err)) == 1)
		ids[n++] = sq_u64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return rc == -1 ? -1 : n;
}

/*
 * Deliveries with a job of a script (or of any, if none is named), with
 * ${pending} only those whose job waits for its turn: each script has its own
 * in order, and so the newest of all are among the newest of each.  -2: there
 * are too many scripts.
 */
static int
by_script(struct sq *sq, const struct store_list *op, int pending,
    uint64_t before, uint64_t *ids, struct err *err)
{
	uint64_t scripts[SCRIPTS_MAX], more[BATCH];
	int nscripts, n = 0, nmore, i;
	sqlite3_stmt *stmt;

	nscripts = script_ids(sq, op, scripts, SCRIPTS_MAX, err);
	if (nscripts == -1 || nscripts == SCRIPTS_MAX)
		return nscripts == -1 ? -1 : -2;
	for (i = 0; i < nscripts; i++) {
		if (pending)
			stmt = sq_get(&sq->rconn, SQ_LIST_DUE,
			    "SELECT id >> 10 FROM job INDEXED BY job_due"
			    " WHERE script = ?2 AND due = 0 AND id < ?1 << 10"
			    " ORDER BY id DESC",
			    err);
		else
			stmt = sq_get(&sq->rconn, SQ_LIST_SCRIPT,
			    "SELECT id >> 10 FROM job INDEXED BY job_script"
			    " WHERE script = ?2 AND id < ?1 << 10"
			    " ORDER BY id DESC",
			    err);
		if (stmt == NULL)
			return -1;
		sq_bind(stmt, 1, before);
		sq_bind(stmt, 2, scripts[i]);
		nmore = read_ids(sq, stmt, more, err);
		if (nmore == -1)
			return -1;
		n = merge_ids(ids, n, more, nmore);
	}
	return n;
}

/* Deliveries with a job that is pending: due, or behind another of its key. */
static int
pending_deliveries(struct sq *sq, const struct store_list *op, uint64_t before,
    uint64_t *ids, struct err *err)
{
	uint64_t more[BATCH];
	sqlite3_stmt *stmt;
	int n, nmore;

	n = by_script(sq, op, 1, before, ids, err);
	if (n < 0)
		return n;
	stmt = sq_get(&sq->rconn, SQ_LIST_BLOCKED,
	    "SELECT id >> 10 FROM job INDEXED BY job_blocked"
	    " WHERE blocked IS NOT NULL AND id < ? << 10"
	    " ORDER BY id DESC LIMIT 20000",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, before);
	nmore = read_ids(sq, stmt, more, err);
	return nmore == -1 ? -1 : merge_ids(ids, n, more, nmore);
}

/*
 * The next deliveries below ${before} that may be meant, the newest first.  The
 * filters on state and script have indexes; all else is found by looking.
 */
static int
candidates(struct sq *sq, const struct store_list *op, uint64_t before,
    uint64_t *ids, struct err *err)
{
	enum store_state s = STORE_DONE;
	sqlite3_stmt *stmt;
	int n = -2;

	if (op->state != NULL && store_state_parse(op->state, &s) == -1)
		return 0;
	if (s == STORE_RUNNING)
		return running_deliveries(sq, before, ids);
	if (s == STORE_PENDING)
		n = pending_deliveries(sq, op, before, ids, err);
	else if (s == STORE_DONE && op->script != NULL)
		n = by_script(sq, op, 0, before, ids, err);
	if (n != -2)
		return n;
	if (s == STORE_DEAD || s == STORE_DROPPED) {
		stmt = sq_get(&sq->rconn, SQ_LIST_FAILED,
		    "SELECT id >> 10 FROM job WHERE failed = ?2"
		    " AND id < ?1 << 10 ORDER BY id DESC",
		    err);
	} else if (s == STORE_INVALID || s == STORE_UNHANDLED) {
		stmt = sq_get(&sq->rconn, SQ_LIST_ODD,
		    "SELECT id FROM delivery WHERE state = ?2 AND id < ?1"
		    " ORDER BY id DESC",
		    err);
	} else if (s == STORE_RETRYING) {
		stmt = sq_get(&sq->rconn, SQ_LIST_RETRYING,
		    "SELECT id >> 10 FROM job INDEXED BY job_due"
		    " WHERE due > 0 AND id < ?1 << 10 AND ?2"
		    " ORDER BY id DESC LIMIT 1000",
		    err);
	} else {
		stmt = sq_get(&sq->rconn, SQ_LIST_ALL,
		    "SELECT id FROM delivery WHERE id < ?1 AND ?2 >= 0"
		    " ORDER BY id DESC",
		    err);
	}
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, before);
	sq_bind(stmt, 2, (uint64_t)s);
	return read_ids(sq, stmt, ids, err);
}

/* About the first id that came at ${unix_ms} or later: by halving. */
static uint64_t
id_at(struct sq *sq, uint64_t unix_ms, uint64_t high, struct err *err)
{
	uint64_t low = 0, mid, received;
	sqlite3_stmt *stmt;
	int rc;

	while (high - low > 1) {
		mid = low + (high - low) / 2;
		stmt = sq_get(&sq->rconn, SQ_LIST_AT,
		    "SELECT received FROM delivery WHERE id >= ? ORDER BY id"
		    " LIMIT 1",
		    err);
		if (stmt == NULL)
			return 0;
		sq_bind(stmt, 1, mid);
		rc = sq_row(&sq->rconn, stmt, err);
		received = rc == 1 ? sq_u64(stmt, 0) : UINT64_MAX;
		(void)sqlite3_reset(stmt);
		if (received >= unix_ms)
			high = mid;
		else
			low = mid;
	}
	return high;
}

/* Whether the text is in a delivery's headers or body. */
static int
body_contains(struct sq *sq, const struct sq_look *look, uint64_t id)
{
	struct segment_record record;
	struct err why;
	int found;

	if (sq_read_body(
		&sq->rconn, sq->rbodies, id, &look->ref, &record, &why) == -1)
		return 0;
	found = sq_contains(record.body, look->filter->text) ||
		sq_contains(record.headers, look->filter->text);
	free(record.memory);
	return found;
}

/* Append a delivery if it is one that is looked for.  1 yes, 0 no, or -1. */
static int
list_one(struct sq *sq, struct store_list *op, struct buf *out, uint64_t id)
{
	struct sq_look look = {.filter = op};
	size_t before = out->len;
	int rc;

	rc = sq_put_delivery(sq, out, &look, id, &op->op.err);
	if (rc == 1 &&
	    ((op->state != NULL &&
		 strcmp(op->state, store_state_name(look.state)) != 0) ||
		(op->script != NULL && !look.script_matches) ||
		(op->text != NULL && op->text[0] != '\0' &&
		    !look.text_matches && !body_contains(sq, &look, id))))
		rc = 0;
	if (rc != 1) {
		out->len = before;
		out->data[before] = '\0';
	}
	return rc;
}

/*
 * Fill a page.  When the time is up the page ends there, shorter than it could
 * be, and `next` goes on where it stopped.
 */
static int
fill_page(struct sq *sq, struct store_list *op, struct buf *out, uint64_t *next,
    uint64_t first)
{
	uint64_t ids[BATCH], at = *next;
	size_t found = 0;
	int n, i, rc;

	for (;;) {
		n = candidates(sq, op, at, ids, &op->op.err);
		if (n <= 0) {
			*next = n == 0 ? 0 : at;
			return n;
		}
		for (i = 0; i < n; i++) {
			if (ids[i] < first) {
				*next = 0;
				return 0;
			}
			if (found == op->limit ||
			    clock_mono_ms() > sq->deadline_mono_ms) {
				*next = at;
				return 0;
			}
			rc = list_one(sq, op, out, ids[i]);
			if (rc == -1) {
				*next = at;
				return -1;
			}
			found += (size_t)rc;
			at = ids[i];
		}
	}
}

void
sq_list(struct sq *sq, struct store_list *op)
{
	uint64_t next = op->before_id, first = 0, newest;
	struct buf out = BUF_INIT;
	struct err *err = &op->op.err;
	enum store_state state;
	int rc;

	if (op->state != NULL && store_state_parse(op->state, &state) == -1) {
		(void)sq_refuse(
		    &op->op, ERR_INVALID, "there is no state '%s'", op->state);
		return;
	}
	op->limit = op->limit == 0 ? PAGE : op->limit;
	op->limit = op->limit > PAGE_MAX ? PAGE_MAX : op->limit;
	if (next == 0)
		next = (uint64_t)INT64_MAX >> SQ_JOB_BITS;
	newest = next;
	if (op->until_unix_ms != 0)
		next = id_at(sq, op->until_unix_ms + SLACK_MS, newest, err);
	if (op->since_unix_ms > SLACK_MS)
		first = id_at(sq, op->since_unix_ms - SLACK_MS, newest, err);
	buf_puts(&out, "{\"deliveries\":[");
	rc = fill_page(sq, op, &out, &next, first);

	/* Out of time is no error, unless it was over before anything was. */
	if (rc == -1 && (err->code != ERR_TIMEOUT || next == newest)) {
		op->op.rc = -1;
		buf_free(&out);
		return;
	}
	buf_putc(&out, ']');
	if (next == 0)
		buf_puts(&out, ",\"next\":null}");
	else
		buf_printf(
		    &out, ",\"next\":\"%llu\"}", (unsigned long long)next);
	op->ret_jsonlen = out.len;
	op->ret_json = buf_take(&out);
}
