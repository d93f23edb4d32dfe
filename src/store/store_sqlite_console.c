#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#include "store/store_sqlite_internal.h"

/* The states of a delivery's jobs, the worst last: it decides. */
static const enum store_state by_weight[] = {STORE_DONE, STORE_DROPPED,
    STORE_PENDING, STORE_RUNNING, STORE_RETRYING, STORE_DEAD};

/* ---- JSON
 * ---------------------------------------------------------------------
 */

static void
put_key(struct buf *b, const char *key)
{
	if (b->data[b->len - 1] != '{')
		buf_putc(b, ',');
	buf_printf(b, "\"%s\":", key);
}

static void
put_text(struct buf *b, const char *key, const char *s)
{
	put_key(b, key);
	if (s == NULL)
		buf_puts(b, "null");
	else
		str_put_json(b, str_of(s));
}

static void
put_u64(struct buf *b, const char *key, uint64_t n)
{
	put_key(b, key);
	buf_printf(b, "%llu", (unsigned long long)n);
}

/* An id: a string, or null for 0. */
static void
put_id(struct buf *b, const char *key, uint64_t id)
{
	put_key(b, key);
	if (id == 0)
		buf_puts(b, "null");
	else
		buf_printf(b, "\"%llu\"", (unsigned long long)id);
}

static void
put_time(struct buf *b, const char *key, uint64_t unix_ms)
{
	char text[CLOCK_RFC3339_SIZE];

	put_text(b, key, unix_ms == 0 ? NULL : clock_rfc3339(unix_ms, text));
}

/* JSON as it is; ${none} if there is none. */
static void
put_raw(struct buf *b, const char *key, struct str json, const char *none)
{
	put_key(b, key);
	if (json.len == 0)
		buf_puts(b, none);
	else
		buf_put(b, json.data, json.len);
}

static void
begin_element(struct buf *b)
{
	if (b->data[b->len - 1] != '[')
		buf_putc(b, ',');
	buf_putc(b, '{');
}

/* ---- one delivery
 * --------------------------------------------------------------- */

int
sq_contains(struct str s, const char *needle)
{
	size_t len = strlen(needle), i;

	if (len == 0)
		return 1;
	for (i = 0; i + len <= s.len; i++) {
		if ((s.data[i] | 0x20) == (needle[0] | 0x20) &&
		    str_eq_nocase((struct str){s.data + i, len},
			(struct str){needle, len}))
			return 1;
	}
	return 0;
}

static void
look_at_text(struct sq_look *look, const char *s)
{
	if (look->filter != NULL && look->filter->text != NULL && s != NULL &&
	    !look->text_matches)
		look->text_matches = sq_contains(str_of(s), look->filter->text);
}

static int
weight_of(enum store_state state)
{
	int i;

	for (i = 0; i < (int)NELEMS(by_weight); i++) {
		if (by_weight[i] == state)
			return i;
	}
	return -1;
}

/* What a job's last run ended with; NULL if with nothing. */
static int
put_error(struct sq *sq, struct buf *b, struct sq_look *look, uint64_t job,
    uint64_t runs, struct err *err)
{
	sqlite3_stmt *stmt;
	int rc = 0;

	stmt = sq_get(&sq->rconn, SQ_SHOW_ERROR,
	    "SELECT error FROM run WHERE job = ? AND n = ?", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, job);
	sq_bind(stmt, 2, runs);
	if (runs > 0)
		rc = sq_row(&sq->rconn, stmt, err);
	if (rc == 1)
		look_at_text(look, sq_text(stmt, 0));
	put_text(b, "error", rc == 1 ? sq_text(stmt, 0) : NULL);
	(void)sqlite3_reset(stmt);
	return rc == -1 ? -1 : 0;
}

static int
put_runs(struct sq *sq, struct buf *b, uint64_t job, struct err *err)
{
	sqlite3_stmt *stmt;
	uint64_t cpu_us;
	int rc;

	stmt = sq_get(&sq->rconn, SQ_SHOW_RUNS,
	    "SELECT n, started, duration_ms, cpu_us, memory, outcome, error,"
	    " traceback, log, calls FROM run WHERE job = ? ORDER BY n",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, job);
	put_key(b, "runs");
	buf_putc(b, '[');
	while ((rc = sq_row(&sq->rconn, stmt, err)) == 1) {
		begin_element(b);
		put_u64(b, "n", sq_u64(stmt, 0));
		put_time(b, "started_at", sq_u64(stmt, 1));
		put_u64(b, "duration_ms", sq_u64(stmt, 2));
		cpu_us = sq_u64(stmt, 3);
		put_key(b, "cpu_ms");
		buf_printf(b, "%llu.%03u", (unsigned long long)(cpu_us / 1000),
		    (unsigned int)(cpu_us % 1000));
		put_u64(b, "memory_bytes", sq_u64(stmt, 4));
		put_text(b, "outcome", sq_text(stmt, 5));
		put_text(b, "error", sq_text(stmt, 6));
		put_text(b, "traceback", sq_text(stmt, 7));
		put_raw(b, "log", sq_blob(stmt, 8), "[]");
		put_raw(b, "calls", sq_blob(stmt, 9), "[]");
		buf_putc(b, '}');
	}
	buf_putc(b, ']');
	return rc;
}

static int
put_steps(struct sq *sq, struct buf *b, uint64_t job, struct err *err)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = sq_get(&sq->rconn, SQ_SHOW_STEPS,
	    "SELECT name, result, at FROM step WHERE job = ? ORDER BY n", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, job);
	put_key(b, "steps");
	buf_putc(b, '[');
	while ((rc = sq_row(&sq->rconn, stmt, err)) == 1) {
		begin_element(b);
		put_key(b, "name");
		str_put_json(b, sq_blob(stmt, 0));
		put_raw(b, "result", sq_blob(stmt, 1), "null");
		put_time(b, "at", sq_u64(stmt, 2));
		buf_putc(b, '}');
	}
	buf_putc(b, ']');
	return rc;
}

/* The jobs of a delivery; what they make its state goes into ${look}. */
static int
put_jobs(struct sq *sq, struct buf *b, struct sq_look *look, uint64_t id,
    struct err *err)
{
	enum store_state state;
	sqlite3_stmt *stmt;
	int rc, worst = -1;
	uint64_t job;

	stmt = sq_get(&sq->rconn, SQ_SHOW_JOBS,
	    "SELECT j.id, s.name, j.handler, j.state, j.attempts, j.due,"
	    " j.runs FROM job j JOIN script s ON s.id = j.script"
	    " WHERE j.id BETWEEN ? AND ? ORDER BY j.id",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, id << SQ_JOB_BITS);
	sq_bind(stmt, 2, id << SQ_JOB_BITS | SQ_JOBS_MAX);
	put_key(b, "jobs");
	buf_putc(b, '[');
	while ((rc = sq_row(&sq->rconn, stmt, err)) == 1) {
		job = sq_u64(stmt, 0);
		state = sq_u64(stmt, 3) == SQ_BLOCKED
			    ? STORE_PENDING
			    : (enum store_state)sq_u64(stmt, 3);
		if ((state == STORE_PENDING || state == STORE_RETRYING) &&
		    running_has(sq->running, job))
			state = STORE_RUNNING;
		if (weight_of(state) > worst)
			worst = weight_of(state);
		if (look->filter != NULL && look->filter->script != NULL &&
		    strcmp(look->filter->script, sq_text(stmt, 1)) == 0)
			look->script_matches = 1;
		begin_element(b);
		put_text(b, "script", sq_text(stmt, 1));
		put_text(b, "handler", sq_text(stmt, 2));
		put_text(b, "state", store_state_name(state));
		put_u64(b, "attempts", sq_u64(stmt, 4));
		put_time(b, "next_at",
		    state == STORE_RETRYING ? sq_u64(stmt, 5) : 0);
		if (put_error(sq, b, look, job, sq_u64(stmt, 6), err) == -1 ||
		    (look->details && (put_runs(sq, b, job, err) == -1 ||
					  put_steps(sq, b, job, err) == -1)))
			return -1;
		buf_putc(b, '}');
	}
	buf_putc(b, ']');
	if (worst >= 0)
		look->state = by_weight[worst];
	return rc;
}

/* Headers, payload and violation; a damaged body is said, not fatal. */
static int
put_details(struct sq *sq, struct buf *b, struct sq_look *look, uint64_t id,
    const char *pointer, const char *message)
{
	struct segment_record record = {
	    {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, NULL};
	struct err why = ERR_INIT;
	int rc;

	rc = sq_read_body(
	    &sq->rconn, sq->rbodies, id, &look->ref, &record, &why);
	put_raw(b, "headers", record.headers, "{}");
	put_raw(b, "warnings", record.warnings, "[]");
	put_raw(b, "payload", record.body, "null");
	if (rc == -1)
		put_text(b, "payload_error", why.msg);
	free(record.memory);
	put_key(b, "violation");
	if (pointer == NULL && message == NULL) {
		buf_puts(b, "null");
		return 0;
	}
	buf_putc(b, '{');
	put_text(b, "pointer", pointer);
	put_text(b, "message", message);
	buf_putc(b, '}');
	return 0;
}

int
sq_put_delivery(struct sq *sq, struct buf *b, struct sq_look *look, uint64_t id,
    struct err *err)
{
	const struct store_list *f = look->filter;
	sqlite3_stmt *stmt;
	uint64_t received;
	int rc;

	stmt = sq_get(&sq->rconn, SQ_SHOW_DELIVERY,
	    "SELECT integration, channel, resource, action, request_id,"
	    " idempotency_key, repeats, received, size, state, file, offset,"
	    " len, pointer, message FROM delivery WHERE id = ?",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, id);
	rc = sq_row(&sq->rconn, stmt, err);
	if (rc != 1)
		return rc;
	received = sq_u64(stmt, 7);
	if (f != NULL &&
	    ((f->integration != NULL &&
		 (sq_text(stmt, 0) == NULL ||
		     strcmp(f->integration, sq_text(stmt, 0)) != 0)) ||
		(f->resource != NULL &&
		    (sq_text(stmt, 2) == NULL ||
			strcmp(f->resource, sq_text(stmt, 2)) != 0)) ||
		(f->action != NULL &&
		    (sq_text(stmt, 3) == NULL ||
			strcmp(f->action, sq_text(stmt, 3)) != 0)) ||
		received < f->since_unix_ms ||
		(f->until_unix_ms != 0 && received > f->until_unix_ms))) {
		(void)sqlite3_reset(stmt);
		return 0;
	}
	begin_element(b);
	put_id(b, "id", id);
	put_text(b, "integration", sq_text(stmt, 0));
	put_text(b, "channel", sq_text(stmt, 1));
	put_text(b, "resource", sq_text(stmt, 2));
	put_text(b, "action", sq_text(stmt, 3));
	put_text(b, "request_id", sq_text(stmt, 4));
	put_text(b, "idempotency_key", sq_text(stmt, 5));
	put_id(b, "possible_duplicate_of", sq_u64(stmt, 6));
	put_time(b, "received_at", received);
	put_u64(b, "size", sq_u64(stmt, 8));
	look_at_text(look, sq_text(stmt, 4));
	look_at_text(look, sq_text(stmt, 5));
	look_at_text(look, sq_text(stmt, 14));
	look->state = sq_u64(stmt, 9) == 0 ? STORE_DONE
					   : (enum store_state)sq_u64(stmt, 9);
	look->ref = (struct segment_ref){
	    sq_u64(stmt, 10), sq_u64(stmt, 11), sq_u64(stmt, 12)};
	rc = put_jobs(sq, b, look, id, err);
	put_text(b, "state", store_state_name(look->state));
	if (rc == 0 && look->details)
		rc = put_details(
		    sq, b, look, id, sq_text(stmt, 13), sq_text(stmt, 14));
	(void)sqlite3_reset(stmt);
	buf_putc(b, '}');
	return rc == -1 ? -1 : 1;
}

void
sq_show(struct sq *sq, struct store_get *op)
{
	struct sq_look look = {.details = 1};
	struct buf out = BUF_INIT;
	int rc;

	/* sq_put_delivery() writes an element of an array. */
	buf_putc(&out, '[');
	rc = sq_put_delivery(sq, &out, &look, op->id, &op->op.err);
	if (rc == 1) {
		op->ret_jsonlen = out.len - 1;
		op->ret_json = mem_strndup(out.data + 1, out.len - 1);
	} else if (rc == 0) {
		(void)sq_refuse(&op->op, ERR_NOT_FOUND,
		    "there is no delivery %llu", (unsigned long long)op->id);
	} else {
		op->op.rc = -1;
	}
	buf_free(&out);
}

/* ---- counts
 * ---------------------------------------------------------------------
 */

/* Move what is running out of the counts of what its rows say. */
static void
count_running(struct sq *sq, struct store_counts *op, uint64_t script)
{
	static const enum store_state states[] = {
	    STORE_PENDING, STORE_RETRYING};
	uint64_t n;
	size_t i;

	for (i = 0; i < NELEMS(states); i++) {
		n = running_count(sq->running, script, states[i]);
		if (n > op->ret_jobs[states[i]])
			n = op->ret_jobs[states[i]];
		op->ret_jobs[states[i]] -= n;
		op->ret_jobs[STORE_RUNNING] += n;
	}
}

void
sq_counts(struct sq *sq, struct store_counts *op)
{
	int rc, all = op->integration == NULL && op->script == NULL;
	uint64_t script, state, n, last = 0;
	sqlite3_stmt *stmt;

	(void)memset(op->ret_jobs, 0, sizeof(op->ret_jobs));
	op->ret_deliveries = 0;
	op->ret_bytes = atomic_load(&sq->used_shown);
	op->ret_max_bytes = sq->max_bytes;
	stmt = sq_get(&sq->rconn, SQ_COUNT_TALLY,
	    "SELECT t.script, t.state, t.n FROM tally t LEFT JOIN script s"
	    " ON s.id = t.script WHERE t.script = 0 OR"
	    " ((?1 IS NULL OR s.integration = ?1) AND"
	    "  (?2 IS NULL OR s.name = ?2)) ORDER BY t.script, t.state",
	    &op->op.err);
	if (stmt == NULL) {
		op->op.rc = -1;
		return;
	}
	sq_bind_text(stmt, 1, op->integration);
	sq_bind_text(stmt, 2, op->script);
	while ((rc = sq_row(&sq->rconn, stmt, &op->op.err)) == 1) {
		script = sq_u64(stmt, 0);
		state = sq_u64(stmt, 1);
		n = sq_u64(stmt, 2);
		if (script == 0 && state == 0)
			op->ret_deliveries = n;
		else if (state == SQ_BLOCKED)
			op->ret_jobs[STORE_PENDING] += n;
		else if (state <= STORE_UNHANDLED && (script != 0 || all))
			op->ret_jobs[state] += n;
		if (script != last && last != 0 && !all)
			count_running(sq, op, last);
		last = script;
	}
	if (rc == -1) {
		op->op.rc = -1;
		return;
	}
	if (all)
		count_running(sq, op, 0);
	else if (last != 0)
		count_running(sq, op, last);
}
