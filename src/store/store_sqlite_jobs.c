#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#include "store/store_sqlite_internal.h"

/* Columns of a candidate for a claim, in this order. */
#define CANDIDATE "id, order_key, state, attempts, runs, has_steps, handler"

#define LATE 32 /* Retries that are put right at a time. */

void
sq_due(struct sq_script *sc, uint64_t id)
{
	if (sc->cursor >= id)
		sc->cursor = id - 1;
	sc->ready = 1;
}

/* ---- claim
 * -------------------------------------------------------------------
 */

static char *
put_text(char **at, const char *s)
{
	char *to = *at;
	size_t len;

	if (s == NULL)
		return NULL;
	len = strlen(s) + 1;
	(void)memcpy(to, s, len);
	*at += len;
	return to;
}

static size_t
text_size(const char *s)
{
	return s == NULL ? 0 : strlen(s) + 1;
}

/* What earlier attempts have recorded: an array with its texts behind. */
static int
load_steps(struct sq *sq, struct store_job *job, struct err *err)
{
	struct store_step *steps = NULL;
	size_t n = 0, cap = 0, bytes = 0, i;
	sqlite3_stmt *stmt;
	struct str s;
	char *texts = NULL, *at;
	size_t texts_cap = 0;
	int rc;

	stmt = sq_get(&sq->conn, SQ_STEPS,
	    "SELECT name, result FROM step WHERE job = ? ORDER BY n", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, job->id);
	while ((rc = sq_row(&sq->conn, stmt, err)) == 1) {
		steps = mem_grow(steps, &cap, n + 1, sizeof(*steps));
		for (i = 0; i < 2; i++) {
			s = sq_blob(stmt, (int)i);
			texts =
			    mem_grow(texts, &texts_cap, bytes + s.len + 1, 1);
			if (s.len > 0)
				(void)memcpy(texts + bytes, s.data, s.len);
			bytes += s.len;
			if (i == 0)
				steps[n].name.len = s.len;
			else
				steps[n].result_json.len = s.len;
		}
		n++;
	}
	if (rc == 0 && n > 0) {
		job->steps = mem_realloc(steps, n * sizeof(*steps) + bytes);
		steps = NULL;
		job->nsteps = n;
		at = (char *)(job->steps + n);
		(void)memcpy(at, texts, bytes);
		for (i = 0; i < n; i++) {
			job->steps[i].name.data = at;
			at += job->steps[i].name.len;
			job->steps[i].result_json.data = at;
			at += job->steps[i].result_json.len;
		}
	}
	free(steps);
	free(texts);
	return rc;
}

int
sq_read_body(struct sq_conn *conn, struct segment_reader *bodies, uint64_t id,
    const struct segment_ref *ref, struct segment_record *ret_record,
    struct err *err)
{
	sqlite3_stmt *stmt;
	struct str record;
	char *copy;
	int rc;

	if (ref->file != 0)
		return segment_read(bodies, ref, id, ret_record, err);

	/* It was moved out of a segment that had little else to keep. */
	stmt =
	    sq_get(conn, SQ_BODY, "SELECT record FROM body WHERE id = ?", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, id);
	rc = sq_row(conn, stmt, err);
	if (rc != 1)
		return rc == -1 ? -1
				: err_set(err, ERR_INVALID,
				      "the body of delivery %llu is missing",
				      (unsigned long long)id);
	record = sq_blob(stmt, 0);
	copy = mem_strndup(record.data, record.len);
	record.data = NULL;
	(void)sqlite3_reset(stmt);
	return segment_parse(copy, record.len, id, ret_record, err);
}

/*
 * Fill in a job from its candidate's row and its delivery.  Return 0, -1 (the
 * group fails), or 1: its body is damaged and ${err} says how.
 */
static int
load_job(struct sq *sq, const struct sq_script *sc,
    const struct running_job *run, sqlite3_stmt *row, struct store_job **ret,
    struct err *err)
{
	uint64_t delivery = run->id >> SQ_JOB_BITS;
	struct segment_record record;
	struct segment_ref ref;
	struct store_job *job;
	struct str order_key = sq_blob(row, 1);
	const char *handler = sq_text(row, 6);
	sqlite3_stmt *stmt;
	size_t size;
	char *at;
	int rc, i;

	stmt = sq_get(&sq->conn, SQ_CLAIM_DELIVERY,
	    "SELECT file, offset, len, received, channel, resource, action,"
	    " request_id FROM delivery WHERE id = ?",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, delivery);
	rc = sq_row(&sq->conn, stmt, err);
	if (rc == 0)
		(void)err_set(err, ERR_INVALID,
		    "the row of delivery %llu is gone",
		    (unsigned long long)delivery);
	if (rc != 1)
		return rc == -1 ? -1 : 1;
	ref = (struct segment_ref){
	    sq_u64(stmt, 0), sq_u64(stmt, 1), sq_u64(stmt, 2)};
	rc = sq_read_body(&sq->conn, sq->bodies, delivery, &ref, &record, err);
	if (rc == -1) {
		(void)sqlite3_reset(stmt);

		/* What fails for want of descriptors, say, passes. */
		return err->code == ERR_INVALID || err->sys_errno == EIO ? 1
									 : -1;
	}

	size = sizeof(*job) + text_size(sc->integration) + text_size(sc->name) +
	       text_size(handler) + order_key.len;
	for (i = 4; i < 8; i++)
		size += text_size(sq_text(stmt, i));
	job = mem_alloc(size);
	(void)memset(job, 0, sizeof(*job));
	at = (char *)(job + 1);
	job->id = run->id;
	job->delivery_id = delivery;
	job->integration = put_text(&at, sc->integration);
	job->script = put_text(&at, sc->name);
	job->handler = put_text(&at, handler);
	job->channel = put_text(&at, sq_text(stmt, 4));
	job->resource = put_text(&at, sq_text(stmt, 5));
	job->action = put_text(&at, sq_text(stmt, 6));
	job->request_id = put_text(&at, sq_text(stmt, 7));
	if (order_key.len > 0)
		(void)memcpy(at, order_key.data, order_key.len);
	job->order_key = (struct str){at, order_key.len};
	job->headers_json = record.headers;
	job->warnings_json = record.warnings;
	job->body = record.body;
	job->memory = record.memory;
	job->received_unix_ms = sq_u64(stmt, 3);
	job->attempt = run->attempts + 1;
	(void)sqlite3_reset(stmt);
	if (sq_u64(row, 5) != 0 && load_steps(sq, job, err) == -1) {
		store_job_free(job);
		return -1;
	}
	*ret = job;
	return 0;
}

/* A job has waited for its key, and has it. */
static int
unblock(struct sq *sq, struct sq_script *sc, uint64_t id, uint64_t order_hash,
    struct err *err)
{
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_UNBLOCK,
	    "UPDATE job SET state = 0, due = 0, blocked = NULL WHERE id = ?",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, id);
	if (sq_run(&sq->conn, stmt, err) == -1)
		return -1;
	sq_job_moved(sq, sc, order_hash, SQ_BLOCKED, STORE_PENDING);
	return 0;
}

int
sq_release_key(
    struct sq *sq, struct sq_script *sc, uint64_t order_hash, struct err *err)
{
	sqlite3_stmt *stmt;
	uint64_t id;
	int rc;

	/* Another holds it already: one that was kept waiting by a retry. */
	if (keys_holders(sq->keys, order_hash) > 0) {
		sc->ready = 1;
		return 0;
	}
	if (keys_blocked(sq->keys, order_hash) == 0)
		return 0;
	stmt = sq_get(&sq->conn, SQ_KEY_NEXT,
	    "SELECT id FROM job WHERE blocked = ? ORDER BY id LIMIT 1", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, order_hash);
	rc = sq_row(&sq->conn, stmt, err);
	if (rc != 1)
		return rc;
	id = sq_u64(stmt, 0);
	(void)sqlite3_reset(stmt);
	if (unblock(sq, sc, id, order_hash, err) == -1)
		return -1;
	sq_due(sc, id);
	return 0;
}

int
sq_claim_again(struct sq *sq, const struct running_job *job, struct err *err)
{
	struct running_job again = *job;
	sqlite3_stmt *stmt;
	int rc;

	stmt = sq_get(&sq->conn, SQ_CLAIM_STATE,
	    "SELECT state FROM job WHERE id = ?", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, job->id);
	rc = sq_row(&sq->conn, stmt, err);
	if (rc != 1)
		return rc;
	again.state = (unsigned int)sq_u64(stmt, 0);
	(void)sqlite3_reset(stmt);

	/* What let it go is yet to be finished again. */
	if (again.state == SQ_BLOCKED) {
		if (unblock(sq, sq_script_by_id(sq, job->script), job->id,
			job->order_hash, err) == -1)
			return -1;
		again.state = STORE_PENDING;
	}
	running_add(sq->running, &again);
	return 0;
}

/* A job that failed later than now, and when it was to run again. */
struct late {
	uint64_t id;
	uint64_t script;
	uint64_t due;
	uint64_t ended;
};

static int
set_earlier(struct sq *sq, const struct late *late, struct err *err)
{
	uint64_t wait = late->due > late->ended ? late->due - late->ended : 0;
	struct sq_script *sc = sq_script_by_id(sq, late->script);
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_EARLIER,
	    "UPDATE job SET due = ?2, ended = ?3 WHERE id = ?1", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, late->id);
	sq_bind(stmt, 2, sq->now_ms + wait);
	sq_bind(stmt, 3, sq->now_ms);
	if (sc != NULL)
		sc->ready = 1;
	return sq_run(&sq->conn, stmt, err);
}

int
sq_retry_earlier(struct sq *sq, struct err *err)
{
	struct late late[LATE];
	sqlite3_stmt *stmt;
	size_t n = 0, i;
	int rc = 0;

	stmt = sq_get(&sq->conn, SQ_EARLIER_FIND,
	    "SELECT id, script, due, ended FROM job INDEXED BY job_due"
	    " WHERE due > 0 AND ended > ?",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, sq->now_ms);
	while (n < LATE && (rc = sq_row(&sq->conn, stmt, err)) == 1) {
		late[n].id = sq_u64(stmt, 0);
		late[n].script = sq_u64(stmt, 1);
		late[n].due = sq_u64(stmt, 2);
		late[n++].ended = sq_u64(stmt, 3);
	}
	(void)sqlite3_reset(stmt);
	for (i = 0; i < n && rc != -1; i++)
		rc = set_earlier(sq, &late[i], err);
	return rc == -1 ? -1 : n == LATE;
}

static int
add_run(struct sq *sq, const struct running_job *job,
    const struct store_run *run, struct err *err)
{
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_RUN_ADD,
	    "INSERT INTO run (job, n, started, duration_ms, cpu_us, memory,"
	    " outcome, error, traceback, log, calls)"
	    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, job->id);
	sq_bind(stmt, 2, job->runs + 1);
	sq_bind(stmt, 3, run->started_unix_ms);
	sq_bind(stmt, 4, run->duration_ms);
	sq_bind(stmt, 5, run->cpu_us);
	sq_bind(stmt, 6, run->memory_bytes);
	sq_bind_text(stmt, 7, run->outcome);
	sq_bind_text(stmt, 8, run->error);
	sq_bind_text(stmt, 9, run->traceback);
	sq_bind_blob(stmt, 10, run->log_json);
	sq_bind_blob(stmt, 11, run->calls_json);
	return sq_run(&sq->conn, stmt, err);
}

/* A job has run: the one place where that changes its state. */
static int
end_job(struct sq *sq, struct sq_script *sc, const struct running_job *job,
    enum store_state state, uint64_t due_ms, const struct store_run *run,
    struct err *err)
{
	int retry = state == STORE_RETRYING;
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_JOB_END,
	    "UPDATE job SET state = ?2, due = ?3, failed = ?4,"
	    " attempts = attempts + 1, runs = ?5, ended = ?6"
	    " WHERE id = ?1",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, job->id);
	sq_bind(stmt, 2, (uint64_t)state);
	/* 0 would be pending; the past is as good as now. */
	sq_bind_opt(stmt, 3, retry ? due_ms + (due_ms == 0) : 0);
	sq_bind_opt(stmt, 4,
	    state == STORE_DEAD || state == STORE_DROPPED ? (uint64_t)state
							  : 0);
	sq_bind(stmt, 5, job->runs + (run != NULL));
	sq_bind(stmt, 6, sq->now_ms);
	if (sq_run(&sq->conn, stmt, err) == -1 ||
	    (run != NULL && add_run(sq, job, run, err) == -1))
		return -1;
	sq_job_moved(sq, sc, job->order_hash, (int)job->state, (int)state);
	if (job->order_hash != 0 &&
	    sq_release_key(sq, sc, job->order_hash, err) == -1)
		return -1;
	if (sc->skipped) {
		sc->skipped = 0;
		sc->ready = 1;
	}
	return 0;
}

/* A claimed job whose body cannot be read: nobody can run it. */
static int
bury(struct sq *sq, struct sq_script *sc, const struct running_job *job,
    const struct err *why, struct err *err)
{
	struct store_run run = {.started_unix_ms = sq->now_ms,
	    .outcome = "error",
	    .error = why->msg};

	return end_job(sq, sc, job, STORE_DEAD, 0, &run, err);
}

/* Claim from the rows that ${stmt} yields, which is reset in the end. */
static int
claim_from(struct sq *sq, struct sq_script *sc, sqlite3_stmt *stmt,
    struct store_claim *op, struct err *err)
{
	struct running_job job = {.script = sc->id};
	int pending = 0, skipped = 0, rc = 0;
	struct err why = ERR_INIT;
	struct store_job *loaded;

	while (op->ret_njobs < op->max &&
	       (rc = sq_row(&sq->conn, stmt, err)) == 1) {
		job.id = sq_u64(stmt, 0);
		job.order_hash = sq_order_hash(sc->id, sq_blob(stmt, 1));
		job.state = (unsigned int)sq_u64(stmt, 2);
		job.attempts = (unsigned int)sq_u64(stmt, 3);
		job.runs = (unsigned int)sq_u64(stmt, 4);
		pending = job.state == STORE_PENDING;
		if (running_find(sq->running, job.id) != NULL)
			continue;

		/* Were its end undone, two would have it. */
		if (running_leaves(sq->running, job.id)) {
			skipped = sc->late = 1;
			continue;
		}

		/* A retry may be under way that had given its key up. */
		if (job.order_hash != 0 &&
		    running_has_key(sq->running, job.order_hash)) {
			skipped = sc->skipped = 1;
			continue;
		}
		rc = load_job(sq, sc, &job, stmt, &loaded, &why);
		if (rc == -1) {
			*err = why;
			break;
		}
		if (rc == 1) {
			/* Its row is about to change: the caller begins anew.
			 */
			(void)sqlite3_reset(stmt);
			op->ret_nburied++;
			op->ret_buried = why;
			sc->late = 1; /* Unless that is undone. */
			return bury(sq, sc, &job, &why, err) == -1 ? -1 : 1;
		}
		running_add(sq->running, &job);
		op->ret_jobs[op->ret_njobs++] = loaded;
		if (pending && !skipped)
			sc->cursor = job.id;
	}
	(void)sqlite3_reset(stmt);
	return rc == -1 ? -1 : 0;
}

static int
claim_retries(struct sq *sq, struct sq_script *sc, struct store_claim *op,
    struct err *err)
{
	sqlite3_stmt *stmt;
	int rc;

	do {
		stmt = sq_get(&sq->conn, SQ_CLAIM_RETRY,
		    "SELECT " CANDIDATE " FROM job INDEXED BY job_due"
		    " WHERE script = ? AND due > 0 AND due <= ? ORDER BY due",
		    err);
		if (stmt == NULL)
			return -1;
		sq_bind(stmt, 1, sc->id);
		sq_bind(stmt, 2, sq->now_ms);
		rc = claim_from(sq, sc, stmt, op, err);
	} while (rc == 1);
	return rc;
}

static int
claim_pending(struct sq *sq, struct sq_script *sc, struct store_claim *op,
    struct err *err)
{
	sqlite3_stmt *stmt;
	int rc;

	do {
		stmt = sq_get(&sq->conn, SQ_CLAIM_PENDING,
		    "SELECT " CANDIDATE " FROM job INDEXED BY job_due"
		    " WHERE script = ? AND due = 0 AND id > ? ORDER BY id",
		    err);
		if (stmt == NULL)
			return -1;
		sq_bind(stmt, 1, sc->id);
		sq_bind(stmt, 2, sc->cursor);
		rc = claim_from(sq, sc, stmt, op, err);
	} while (rc == 1);
	return rc;
}

static int
by_id(const void *a, const void *b)
{
	const struct store_job *const *x = a, *const *y = b;

	return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

enum store_applied
sq_claim(struct sq *sq, struct store_claim *op, struct err *err)
{
	struct sq_script *sc;
	sqlite3_stmt *stmt;
	int rc;

	op->ret_next_unix_ms = 0;
	op->ret_nburied = 0;
	sc = sq_script(sq, op->integration, op->script, 0, err);
	if (sc == NULL)
		return STORE_APPLIED; /* It never had a job. */
	if (segment_flush(sq->segment, err) == -1)
		return STORE_APPLIED_FAILED;

	/* Retries first: they are the older ones. */
	op->ret_jobs = mem_array(op->max, sizeof(struct store_job *));
	if (claim_retries(sq, sc, op, err) == -1 ||
	    claim_pending(sq, sc, op, err) == -1)
		goto failed;
	if (op->ret_njobs > 1)
		qsort(
		    op->ret_jobs, op->ret_njobs, sizeof(*op->ret_jobs), by_id);
	stmt = sq_get(&sq->conn, SQ_NEXT_RETRY,
	    "SELECT min(due) FROM job INDEXED BY job_due"
	    " WHERE script = ? AND due > ?",
	    err);
	if (stmt == NULL)
		goto failed;
	sq_bind(stmt, 1, sc->id);
	sq_bind(stmt, 2, sq->now_ms);
	rc = sq_row(&sq->conn, stmt, err);
	if (rc == -1)
		goto failed;
	op->ret_next_unix_ms = sq_u64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return STORE_APPLIED;
failed:
	store_claim_clear(op);
	return STORE_APPLIED_FAILED;
}

/* ---- finish and step
 * ------------------------------------------------------------
 */

enum store_applied
sq_finish(struct sq *sq, struct store_finish *op, struct err *err)
{
	struct running_job *job = running_find(sq->running, op->job_id);
	struct sq_script *sc;

	if (job == NULL)
		return sq_refuse(&op->op, ERR_NOT_FOUND,
		    "job %llu is not running", (unsigned long long)op->job_id);
	sc = sq_script_by_id(sq, job->script);
	switch (op->state) {
	case STORE_PENDING:
		/* Its row has not changed since it was claimed; but what came
		 * while a retry ran may be blocked on it. */
		running_remove(sq->running, job->id);
		if (job->state == STORE_RETRYING && job->order_hash != 0 &&
		    sq_release_key(sq, sc, job->order_hash, err) == -1)
			return STORE_APPLIED_FAILED;
		sq_due(sc, job->id);
		return STORE_APPLIED;
	case STORE_DONE:
	case STORE_DROPPED:
	case STORE_DEAD:
	case STORE_RETRYING:
		break;
	case STORE_RUNNING:
	case STORE_INVALID:
	case STORE_UNHANDLED:
		return sq_refuse(&op->op, ERR_INVALID, "a job cannot end as %s",
		    store_state_name(op->state));
	}
	running_remove(sq->running, job->id);
	if (end_job(sq, sc, job, op->state, op->next_unix_ms, op->run, err) ==
	    -1)
		return STORE_APPLIED_FAILED;
	return STORE_APPLIED;
}

enum store_applied
sq_step(struct sq *sq, struct store_step_put *op, struct err *err)
{
	struct running_job *job = running_find(sq->running, op->job_id);
	sqlite3_stmt *stmt;

	if (job == NULL)
		return sq_refuse(&op->op, ERR_NOT_FOUND,
		    "job %llu is not running", (unsigned long long)op->job_id);
	if (op->name.len > STORE_KEY_MAX)
		return sq_refuse(&op->op, ERR_TOO_LARGE,
		    "a step's name has %zu bytes, at most %d are kept",
		    op->name.len, STORE_KEY_MAX);
	if (op->result_json.len > STORE_VALUE_MAX)
		return sq_refuse(&op->op, ERR_TOO_LARGE,
		    "the result of the step has %zu bytes, at most %d are kept",
		    op->result_json.len, STORE_VALUE_MAX);

	/* The same name again takes the place of the first. */
	stmt = sq_get(&sq->conn, SQ_STEP_ADD,
	    "INSERT OR REPLACE INTO step (job, n, name, result, at)"
	    " VALUES (?1, coalesce("
	    "  (SELECT n FROM step WHERE job = ?1 AND name IS ?2),"
	    "  (SELECT max(n) + 1 FROM step WHERE job = ?1), 1), ?2, ?3, ?4)",
	    err);
	if (stmt == NULL)
		return STORE_APPLIED_FAILED;
	sq_bind(stmt, 1, job->id);
	sq_bind_blob(stmt, 2, op->name);
	sq_bind_blob(stmt, 3, op->result_json);
	sq_bind(stmt, 4, sq->now_ms);
	if (sq_run(&sq->conn, stmt, err) == -1)
		return STORE_APPLIED_FAILED;
	stmt = sq_get(&sq->conn, SQ_STEP_FLAG,
	    "UPDATE job SET has_steps = 1 WHERE id = ? AND has_steps = 0", err);
	if (stmt == NULL)
		return STORE_APPLIED_FAILED;
	sq_bind(stmt, 1, job->id);
	if (sq_run(&sq->conn, stmt, err) == -1)
		return STORE_APPLIED_FAILED;
	return STORE_APPLIED;
}
