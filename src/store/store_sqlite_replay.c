#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "store/store_sqlite_internal.h"

#define SLICE 256 /* Jobs that are looked at in one group. */
#define BURIED 32 /* Jobs of a script that is gone, at a time. */

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
	uint64_t becomes = 0;
	sqlite3_stmt *stmt;
	size_t i;

	if (op->njobs == 0 && op->state == NULL)
		return 0;
	if (op->njobs == 0)
		becomes = STORE_UNHANDLED;
	for (i = 0; i < op->njobs; i++) {
		if (sq_new_job(sq, op->id, (unsigned int)i, &op->jobs[i],
			integration, err) == -1)
			return -1;
		op->ret_count++;
		add_name(names, op->jobs[i].script);
	}
	stmt = sq_get(&sq->conn, SQ_REPLAY_STATE,
	    "UPDATE delivery SET state = ?2 WHERE id = ?1", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, op->id);
	sq_bind_opt(stmt, 2, becomes);
	sq_tally(sq, NULL, state, becomes == 0 ? -1 : (int)becomes);
	return sq_run(&sq->conn, stmt, err);
}

static enum store_applied
replay_one(struct sq *sq, struct store_replay *op, struct err *err)
{
	struct buf names = BUF_INIT;
	char *integration = NULL;
	sqlite3_stmt *stmt;
	int rc, state;

	if (op->state != NULL && strcmp(op->state, "invalid") != 0)
		return sq_refuse(&op->op, ERR_INVALID,
		    "one delivery is replayed whatever its state is");
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
	if (op->state != NULL && state != STORE_INVALID)
		rc = 0; /* It has left the quarantine meanwhile. */
	else if (state == 0)
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

/* ---- discard and bury
 * -------------------------------------------------------------------
 */

/* Which jobs of a script are to end before they have run, and how. */
struct ending {
	enum store_state to; /* DROPPED, or DEAD. */
	uint64_t before;     /* Only those with a smaller id. */
	uint64_t count;      /* Of those that have ended so. */
	size_t left;         /* How many more may in this group. */
};

/* A job that nobody runs any more says why. */
static int
add_burial(struct sq *sq, uint64_t id, struct err *err)
{
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_BURY_RUN,
	    "INSERT INTO run (job, n, started, duration_ms, cpu_us, memory,"
	    " outcome, error) SELECT id, runs, ?2, 0, 0, 0, 'error', 'its"
	    " script is gone and did not come back in time' FROM job"
	    " WHERE id = ?1",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, id);
	sq_bind(stmt, 2, sq->now_ms);
	return sq_run(&sq->conn, stmt, err);
}

static int
end_waiting(struct sq *sq, struct sq_script *sc, struct ending *e, uint64_t id,
    uint64_t hash, int state, struct err *err)
{
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_DISCARD_JOB,
	    "UPDATE job SET state = ?2, due = NULL, failed = ?2, ended = ?3,"
	    " runs = runs + ?4, blocked = NULL WHERE id = ?1",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, id);
	sq_bind(stmt, 2, (uint64_t)e->to);
	sq_bind(stmt, 3, sq->now_ms);
	sq_bind(stmt, 4, e->to == STORE_DEAD);
	sq_job_moved(sq, sc, hash, state, (int)e->to);
	if (sq_run(&sq->conn, stmt, err) == -1)
		return -1;
	e->count++;
	e->left--;
	return e->to == STORE_DEAD ? add_burial(sq, id, err) : 0;
}

/* End what is blocked on a key. */
static int
end_blocked(struct sq *sq, struct sq_script *sc, struct ending *e,
    uint64_t hash, struct err *err)
{
	sqlite3_stmt *stmt;
	uint64_t id;
	int rc;

	while (e->left > 0) {
		stmt = sq_get(&sq->conn, SQ_DISCARD_BLOCKED,
		    "SELECT id FROM job WHERE blocked = ? AND id < ?"
		    " ORDER BY id LIMIT 1",
		    err);
		if (stmt == NULL)
			return -1;
		sq_bind(stmt, 1, hash);
		sq_bind(stmt, 2, e->before);
		rc = sq_row(&sq->conn, stmt, err);
		id = rc == 1 ? sq_u64(stmt, 0) : 0;
		(void)sqlite3_reset(stmt);
		if (rc != 1)
			return rc;
		if (end_waiting(sq, sc, e, id, hash, SQ_BLOCKED, err) == -1)
			return -1;
	}
	return 0;
}

/* End what waits behind the jobs of the script that run. */
static int
end_behind_running(
    struct sq *sq, struct sq_script *sc, struct ending *e, struct err *err)
{
	const struct running_job *job;
	uint64_t *ids;
	size_t n, i;
	int rc = 0;

	ids = running_ids(sq->running, &n);
	for (i = 0; i < n && rc == 0; i++) {
		job = running_find(sq->running, ids[i]);
		if (job->script == sc->id && job->order_hash != 0)
			rc = end_blocked(sq, sc, e, job->order_hash, err);
	}
	free(ids);
	return rc;
}

/* End a job that is due or will be, and those that wait for its key. */
static int
end_due(struct sq *sq, struct sq_script *sc, struct ending *e,
    const struct row *row, struct err *err)
{
	uint64_t hash = sq_order_hash(
	    sc->id, (struct str){row->order_key, row->order_keylen});

	if (end_waiting(sq, sc, e, row->id, hash, (int)row->state, err) == -1)
		return -1;
	if (hash == 0 || running_has_key(sq->running, hash))
		return 0;
	if (end_blocked(sq, sc, e, hash, err) == -1)
		return -1;
	return sq_release_key(sq, sc, hash, err);
}

/* End up to e->left of the jobs of a script that wait. */
static int
end_some(struct sq *sq, struct sq_script *sc, struct ending *e, struct err *err)
{
	struct row rows[SLICE];
	sqlite3_stmt *stmt;
	size_t n, i;
	int rc = 0;

	if (end_behind_running(sq, sc, e, err) == -1)
		return -1;
	stmt = sq_get(&sq->conn, SQ_DISCARD_FIND,
	    "SELECT id, script, state, order_key FROM job INDEXED BY job_due"
	    " WHERE script = ? AND due >= 0 AND id < ?",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, sc->id);
	sq_bind(stmt, 2, e->before);
	if (read_rows(sq, stmt, rows, &n, err) == -1)
		return -1;
	for (i = 0; i < n && e->left > 0 && rc == 0; i++)
		rc = end_due(sq, sc, e, &rows[i], err);
	free_rows(rows, n);
	return rc;
}

enum store_applied
sq_discard(struct sq *sq, struct store_discard *op, struct err *err)
{
	struct ending e = {.to = STORE_DROPPED, .left = SLICE};
	struct sq_script *sc;

	sc = sq_script(sq, op->integration, op->script, 0, err);
	if (sc == NULL)
		return STORE_APPLIED;

	/* What comes in from now on is not meant. */
	if (op->at == 0)
		op->at = sq->next_id << SQ_JOB_BITS;
	e.before = op->at;
	if (end_some(sq, sc, &e, err) == -1)
		return STORE_APPLIED_FAILED;
	op->ret_count += e.count;
	return e.count == 0 ? STORE_APPLIED : STORE_APPLIED_PARTLY;
}

int
sq_bury_gone(struct sq *sq, struct err *err)
{
	struct ending e = {.to = STORE_DEAD,
	    .before = sq->next_id << SQ_JOB_BITS,
	    .left = BURIED};
	struct sq_script *sc;
	sqlite3_stmt *stmt;
	int rc;

	if (sq->retain_gone_ms == 0 || sq->now_ms < sq->retain_gone_ms)
		return 0;
	stmt = sq_get(&sq->conn, SQ_GONE_FIND,
	    "SELECT id FROM script WHERE gone <= ? AND EXISTS (SELECT 1 FROM"
	    " job INDEXED BY job_due WHERE script = script.id AND due >= 0)",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, sq->now_ms - sq->retain_gone_ms);
	rc = sq_row(&sq->conn, stmt, err);
	sc = rc == 1 ? sq_script_by_id(sq, sq_u64(stmt, 0)) : NULL;
	(void)sqlite3_reset(stmt);
	if (rc == -1 || sc == NULL)
		return rc == -1 ? -1 : 0;
	if (end_some(sq, sc, &e, err) == -1)
		return -1;
	return e.count > 0;
}
