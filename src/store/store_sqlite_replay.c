#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "store/store_sqlite_internal.h"

#define SLICE 256 /* Jobs that are looked at in one group. */

/* A job, out of its row before that is changed. */
struct row {
	uint64_t id;
	uint64_t script;
	enum store_state state;
	int blocked;
	char *order_key;
	size_t order_keylen;
};

static void
free_rows(struct row *rows, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(rows[i].order_key);
}

/* Read up to SLICE rows of: id, script, state, order_key.  Jobs that run are
 * left out. */
static int
read_rows(struct sq *sq, sqlite3_stmt *stmt, struct row *rows, size_t *ret_n,
    struct err *err)
{
	struct str key;
	size_t n = 0;
	int rc = 0;

	while (n < SLICE && (rc = sq_row(&sq->conn, stmt, err)) == 1) {
		rows[n].id = sq_u64(stmt, 0);
		if (running_find(sq->running, rows[n].id) != NULL)
			continue;
		rows[n].script = sq_u64(stmt, 1);
		rows[n].blocked = sq_u64(stmt, 2) == SQ_BLOCKED;
		rows[n].state = rows[n].blocked
				    ? STORE_PENDING
				    : (enum store_state)sq_u64(stmt, 2);
		key = sq_blob(stmt, 3);
		rows[n].order_key = mem_strndup(key.data, key.len);
		rows[n++].order_keylen = key.len;
	}
	(void)sqlite3_reset(stmt);
	*ret_n = n;
	if (n < SLICE && rc == -1) {
		free_rows(rows, n);
		return -1;
	}
	return 0;
}

/* ---- replay
 * --------------------------------------------------------------------
 */

static int
named(const struct store_replay *op, const struct sq_script *sc)
{
	size_t i;

	if (op->script != NULL && strcmp(op->script, sc->name) != 0)
		return 0;
	if (op->integration != NULL &&
	    strcmp(op->integration, sc->integration) != 0)
		return 0;
	if (op->nscripts == 0)
		return 1;
	for (i = 0; i < op->nscripts; i++) {
		if (strcmp(op->scripts[i], sc->name) == 0)
			return 1;
	}
	return 0;
}

/* Whether a job is one of those that are meant. */
static int
wanted(const struct store_replay *op, const struct row *row,
    const struct sq_script *sc)
{
	if (row->state == STORE_PENDING || !named(op, sc))
		return 0;
	return op->all || op->nscripts > 0 || row->state != STORE_DONE;
}

/* Put one job back to the start. */
static int
rerun(
    struct sq *sq, struct sq_script *sc, const struct row *row, struct err *err)
{
	uint64_t hash = sq_order_hash(
	    sc->id, (struct str){row->order_key, row->order_keylen});
	sqlite3_stmt *stmt;
	int state;

	state = sq_waiting_state(sq, hash);

	/* A strict key that the job itself holds does not block it. */
	if (row->state == STORE_RETRYING && sq->strict_order)
		state = STORE_PENDING;
	if (row->state == STORE_DONE) {
		stmt = sq_get(&sq->conn, SQ_REPLAY_STEPS,
		    "DELETE FROM step WHERE job = ?", err);
		if (stmt == NULL)
			return -1;
		sq_bind(stmt, 1, row->id);
		if (sq_run(&sq->conn, stmt, err) == -1)
			return -1;
	}
	stmt = sq_get(&sq->conn, SQ_REPLAY_JOB,
	    "UPDATE job SET state = ?2, due = ?3, failed = NULL, attempts = 0,"
	    " ended = NULL, blocked = ?4 WHERE id = ?1",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, row->id);
	sq_bind(stmt, 2, (uint64_t)state);
	if (state == STORE_PENDING)
		sq_bind(stmt, 3, 0);
	else
		(void)sqlite3_bind_null(stmt, 3);
	sq_bind_opt(stmt, 4, state == SQ_BLOCKED ? hash : 0);
	if (sq_run(&sq->conn, stmt, err) == -1)
		return -1;
	sq_job_moved(sq, sc, hash, (int)row->state, state);
	if (state == STORE_PENDING)
		sq_due(sc, row->id);
	return 0;
}

/* Add a name to the array of those that will run, once. */
static void
add_name(struct buf *names, const char *name)
{
	struct buf quoted = BUF_INIT;

	str_put_json(&quoted, str_of(name));
	if (names->len == 0 || strstr(names->data, quoted.data) == NULL) {
		buf_putc(names, names->len == 0 ? '[' : ',');
		buf_put(names, quoted.data, quoted.len);
	}
	buf_free(&quoted);
}

/* Replay a delivery that has jobs. */
static int
replay_jobs(
    struct sq *sq, struct store_replay *op, struct buf *names, struct err *err)
{
	struct row rows[SLICE];
	struct sq_script *sc;
	sqlite3_stmt *stmt;
	uint64_t from = op->id << SQ_JOB_BITS;
	size_t n, i;
	int rc = 0;

	do {
		stmt = sq_get(&sq->conn, SQ_REPLAY_JOBS,
		    "SELECT id, script, state, order_key FROM job"
		    " WHERE id BETWEEN ? AND ? ORDER BY id",
		    err);
		if (stmt == NULL)
			return -1;
		sq_bind(stmt, 1, from);
		sq_bind(stmt, 2, op->id << SQ_JOB_BITS | SQ_JOBS_MAX);
		if (read_rows(sq, stmt, rows, &n, err) == -1)
			return -1;
		for (i = 0; i < n && rc == 0; i++) {
			from = rows[i].id + 1;
			sc = sq_script_by_id(sq, rows[i].script);
			if (sc == NULL || !wanted(op, &rows[i], sc))
				continue;
			rc = rerun(sq, sc, &rows[i], err);
			op->ret_count++;
			add_name(names, sc->name);
		}
		free_rows(rows, n);
	} while (n == SLICE && rc == 0);
	return rc;
}

/* Give jobs to a delivery that has none. */
static int
give_jobs(struct sq *sq, struct store_replay *op, int state,
    const char *integration, struct buf *names, struct err *err)
{
	sqlite3_stmt *stmt;
	size_t i;

	if (op->njobs == 0)
		return 0;
	for (i = 0; i < op->njobs; i++) {
		if (sq_new_job(sq, op->id, (unsigned int)i, &op->jobs[i],
			integration, err) == -1)
			return -1;
		op->ret_count++;
		add_name(names, op->jobs[i].script);
	}
	stmt = sq_get(&sq->conn, SQ_REPLAY_STATE,
	    "UPDATE delivery SET state = NULL WHERE id = ?", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, op->id);
	sq_tally(sq, NULL, state, -1);
	return sq_run(&sq->conn, stmt, err);
}

static enum store_applied
replay_one(struct sq *sq, struct store_replay *op, struct err *err)
{
	struct buf names = BUF_INIT;
	char *integration = NULL;
	sqlite3_stmt *stmt;
	int rc, state;

	if (op->njobs > SQ_JOBS_MAX)
		return sq_refuse(&op->op, ERR_TOO_LARGE,
		    "a delivery has at most %u jobs", SQ_JOBS_MAX);
	stmt = sq_get(&sq->conn, SQ_REPLAY_DELIVERY,
	    "SELECT state, integration FROM delivery WHERE id = ?", err);
	if (stmt == NULL)
		return STORE_APPLIED_FAILED;
	sq_bind(stmt, 1, op->id);
	rc = sq_row(&sq->conn, stmt, err);
	if (rc == -1)
		return STORE_APPLIED_FAILED;
	if (rc == 0)
		return sq_refuse(&op->op, ERR_NOT_FOUND,
		    "there is no delivery %llu", (unsigned long long)op->id);
	state = (int)sq_u64(stmt, 0);
	integration = mem_strdup(sq_text(stmt, 1));
	(void)sqlite3_reset(stmt);
	if (state == 0)
		rc = replay_jobs(sq, op, &names, err);
	else
		rc = give_jobs(sq, op, state, integration, &names, err);
	free(integration);
	if (rc == -1) {
		buf_free(&names);
		return STORE_APPLIED_FAILED;
	}
	buf_puts(&names, names.len == 0 ? "[]" : "]");
	op->ret_jsonlen = names.len;
	op->ret_json = buf_take(&names);
	return STORE_APPLIED;
}

/* The jobs that a filter is about, SLICE of them from op->at on. */
static sqlite3_stmt *
filter_rows(struct sq *sq, const struct store_replay *op,
    enum store_state state, struct err *err)
{
	sqlite3_stmt *stmt;

	if (state == STORE_RETRYING)
		stmt = sq_get(&sq->conn, SQ_REPLAY_RETRYING,
		    "SELECT id, script, state, order_key FROM job"
		    " INDEXED BY job_due WHERE due > 0 AND id > ?1 AND (SELECT"
		    "  received FROM delivery WHERE id = job.id >> 10) >= ?2"
		    " ORDER BY id",
		    err);
	else if (state == STORE_DONE)
		stmt = sq_get(&sq->conn, SQ_REPLAY_DONE,
		    "SELECT id, script, state, order_key FROM job"
		    " WHERE state = 3 AND id > ?1 AND (SELECT received FROM"
		    "  delivery WHERE id = job.id >> 10) >= ?2 ORDER BY id",
		    err);
	else
		stmt = sq_get(&sq->conn, SQ_REPLAY_FAILED,
		    "SELECT id, script, state, order_key FROM job"
		    " WHERE failed = ?3 AND id > ?1 AND (SELECT received FROM"
		    "  delivery WHERE id = job.id >> 10) >= ?2 ORDER BY id",
		    err);
	if (stmt == NULL)
		return NULL;
	sq_bind(stmt, 1, op->at);
	sq_bind(stmt, 2, op->since_unix_ms);
	if (state == STORE_DEAD || state == STORE_DROPPED)
		sq_bind(stmt, 3, (uint64_t)state);
	return stmt;
}

static enum store_applied
replay_many(struct sq *sq, struct store_replay *op, struct err *err)
{
	enum store_state state = STORE_DEAD;
	struct row rows[SLICE];
	struct sq_script *sc;
	sqlite3_stmt *stmt;
	size_t n, i;
	int rc = 0;

	if (op->state != NULL &&
	    (store_state_parse(op->state, &state) == -1 ||
		(state != STORE_DEAD && state != STORE_DROPPED &&
		    state != STORE_RETRYING && state != STORE_DONE)))
		return sq_refuse(&op->op, ERR_INVALID,
		    "only dead, dropped, retrying and done jobs can be "
		    "replayed together, the others one by one");
	stmt = filter_rows(sq, op, state, err);
	if (stmt == NULL || read_rows(sq, stmt, rows, &n, err) == -1)
		return STORE_APPLIED_FAILED;
	for (i = 0; i < n && rc == 0; i++) {
		op->at = rows[i].id;
		sc = sq_script_by_id(sq, rows[i].script);
		if (sc == NULL || !named(op, sc))
			continue;
		rc = rerun(sq, sc, &rows[i], err);
		op->ret_count++;
	}
	free_rows(rows, n);
	if (rc == -1)
		return STORE_APPLIED_FAILED;
	return n == SLICE ? STORE_APPLIED_PARTLY : STORE_APPLIED;
}

enum store_applied
sq_replay(struct sq *sq, struct store_replay *op, struct err *err)
{
	return op->id != 0 ? replay_one(sq, op, err) : replay_many(sq, op, err);
}

/* ---- discard
 * -------------------------------------------------------------------
 */

static int
drop_job(struct sq *sq, struct sq_script *sc, uint64_t id, uint64_t hash,
    int state, struct err *err)
{
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_DISCARD_JOB,
	    "UPDATE job SET state = 4, due = NULL, failed = 4, ended = ?2,"
	    " blocked = NULL WHERE id = ?1",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, id);
	sq_bind(stmt, 2, sq->now_ms);
	sq_job_moved(sq, sc, hash, state, STORE_DROPPED);
	return sq_run(&sq->conn, stmt, err);
}

/* Drop what is blocked on a key, at most ${left}. */
static int
drop_blocked(struct sq *sq, struct sq_script *sc, struct store_discard *op,
    uint64_t hash, size_t *left, struct err *err)
{
	sqlite3_stmt *stmt;
	uint64_t id;
	int rc;

	for (; *left > 0; (*left)--) {
		stmt = sq_get(&sq->conn, SQ_DISCARD_BLOCKED,
		    "SELECT id FROM job WHERE blocked = ? AND id < ?"
		    " ORDER BY id LIMIT 1",
		    err);
		if (stmt == NULL)
			return -1;
		sq_bind(stmt, 1, hash);
		sq_bind(stmt, 2, op->at);
		rc = sq_row(&sq->conn, stmt, err);
		id = rc == 1 ? sq_u64(stmt, 0) : 0;
		(void)sqlite3_reset(stmt);
		if (rc != 1)
			return rc;
		if (drop_job(sq, sc, id, hash, SQ_BLOCKED, err) == -1)
			return -1;
		op->ret_count++;
	}
	return 0;
}

/* Drop what waits behind the jobs of the script that run. */
static int
drop_behind_running(struct sq *sq, struct sq_script *sc,
    struct store_discard *op, size_t *left, struct err *err)
{
	const struct running_job *job;
	uint64_t *ids;
	size_t n, i;
	int rc = 0;

	ids = running_ids(sq->running, &n);
	for (i = 0; i < n && rc == 0; i++) {
		job = running_find(sq->running, ids[i]);
		if (job->script == sc->id && job->order_hash != 0)
			rc = drop_blocked(
			    sq, sc, op, job->order_hash, left, err);
	}
	free(ids);
	return rc;
}

/* Drop a job that is due or will be, and those that wait for its key. */
static int
drop_due(struct sq *sq, struct sq_script *sc, struct store_discard *op,
    const struct row *row, size_t *left, struct err *err)
{
	uint64_t hash = sq_order_hash(
	    sc->id, (struct str){row->order_key, row->order_keylen});

	if (drop_job(sq, sc, row->id, hash, (int)row->state, err) == -1)
		return -1;
	(*left)--;
	op->ret_count++;
	if (hash == 0 || running_has_key(sq->running, hash))
		return 0;
	if (drop_blocked(sq, sc, op, hash, left, err) == -1)
		return -1;
	return sq_release_key(sq, sc, hash, err);
}

enum store_applied
sq_discard(struct sq *sq, struct store_discard *op, struct err *err)
{
	size_t n, i, left = SLICE;
	struct row rows[SLICE];
	struct sq_script *sc;
	sqlite3_stmt *stmt;
	int rc;

	sc = sq_script(sq, op->integration, op->script, 0, err);
	if (sc == NULL)
		return STORE_APPLIED;

	/* What comes in from now on is not meant. */
	if (op->at == 0)
		op->at = sq->next_id << SQ_JOB_BITS;
	if (drop_behind_running(sq, sc, op, &left, err) == -1)
		return STORE_APPLIED_FAILED;
	stmt = sq_get(&sq->conn, SQ_DISCARD_FIND,
	    "SELECT id, script, state, order_key FROM job INDEXED BY job_due"
	    " WHERE script = ? AND due >= 0 AND id < ?",
	    err);
	if (stmt == NULL)
		return STORE_APPLIED_FAILED;
	sq_bind(stmt, 1, sc->id);
	sq_bind(stmt, 2, op->at);
	if (read_rows(sq, stmt, rows, &n, err) == -1)
		return STORE_APPLIED_FAILED;
	rc = 0;
	for (i = 0; i < n && left > 0 && rc == 0; i++)
		rc = drop_due(sq, sc, op, &rows[i], &left, err);
	free_rows(rows, n);
	if (rc == -1)
		return STORE_APPLIED_FAILED;
	return left == SLICE ? STORE_APPLIED : STORE_APPLIED_PARTLY;
}
