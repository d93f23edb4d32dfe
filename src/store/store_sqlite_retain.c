#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"

#include "store/store_sqlite_internal.h"

#define ROUND_MS 60000    /* Between two rounds, at most... */
#define ROUND_MIN_MS 50   /* ...and at least. */
#define LOOK_MS 1000      /* Between two looks whether there is work. */
#define SPARSE_PERCENT 25 /* A segment with less that counts is emptied... */
#define HUNGRY_PERCENT 80 /* ...and when room is needed, with less of this. */
#define SLICE_DELIVERIES 32
#define SLICE_MOVES 8

/* A round goes through these; each step of one takes a fraction of a ms. */
enum phase {
	PHASE_CLOCK,
	PHASE_KV,
	PHASE_GONE,
	PHASE_SEEN,
	PHASE_SWEEP,
	PHASE_MOVE,
	PHASE_END
};

/* What a delivery is to retention. */
enum class {
	CLASS_LIVE,
	CLASS_DONE,
	CLASS_DEAD
};

struct swept {
	uint64_t id;
	uint64_t state;
	uint64_t received;
	uint64_t file;
	uint64_t len;
};

/* ---- how much there is
 * ---------------------------------------------------------
 */

static void
show_fill(struct sq *sq)
{
	if (sq->max_bytes > 0)
		store_set_fill(sq->store,
		    (unsigned int)(sq->used_bytes / (sq->max_bytes / 100 + 1)),
		    sq->full);
}

int
sq_measure(struct sq *sq, struct err *err)
{
	sqlite3_stmt *stmt;
	uint64_t used;
	int rc;

	stmt = sq_get(&sq->conn, SQ_USED,
	    "SELECT (SELECT page_count FROM pragma_page_count) -"
	    " (SELECT freelist_count FROM pragma_freelist_count),"
	    " (SELECT coalesce(sum(used), 0) FROM segment)",
	    err);
	if (stmt == NULL)
		return -1;
	rc = sq_row(&sq->conn, stmt, err);
	if (rc == -1)
		return -1;
	used = sq_u64(stmt, 0) * 4096 + sq_u64(stmt, 1);
	(void)sqlite3_reset(stmt);
	sq->used_bytes = used;
	sq->grown_bytes = 0;
	atomic_store(&sq->used_shown, used);
	if (sq->max_bytes == 0)
		return 0;
	if (used <= sq->max_bytes)
		sq->hunger = 0;
	else if (sq->hunger == 0)
		sq->hunger = 1;
	sq->full = sq->full && sq->hunger > 0;
	show_fill(sq);
	return 0;
}

int
sq_is_full(const struct sq *sq)
{
	/* A little more is taken while what is old is being dropped. */
	return sq->full ||
	       (sq->max_bytes > 0 && sq->used_bytes + sq->grown_bytes >
					 sq->max_bytes + sq->max_bytes / 8);
}

/* ---- dropping
 * --------------------------------------------------------------------
 */

/* Write what was taken out of a segment. */
static int
save_less(struct sq *sq, struct err *err)
{
	sqlite3_stmt *stmt;

	if (sq->less_records == 0)
		return 0;
	stmt = sq_get(&sq->conn, SQ_SEGMENT_LESS,
	    "UPDATE segment SET records = records - ?2, bytes = bytes - ?3"
	    " WHERE id = ?1",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, sq->less_file);
	(void)sqlite3_bind_int64(stmt, 2, sq->less_records);
	(void)sqlite3_bind_int64(stmt, 3, sq->less_bytes);
	sq->less_records = sq->less_bytes = 0;
	return sq_run(&sq->conn, stmt, err);
}

static int
take_from_segment(struct sq *sq, uint64_t file, uint64_t len, struct err *err)
{
	if (file != sq->less_file && save_less(sq, err) == -1)
		return -1;
	sq->less_file = file;
	sq->less_records++;
	sq->less_bytes += (int64_t)len;
	return 0;
}

/* Run a statement on ids ${from} to ${to}. */
static int
run_range(struct sq *sq, enum sq_sql which, const char *sql, uint64_t from,
    uint64_t to, struct err *err)
{
	sqlite3_stmt *stmt = sq_get(&sq->conn, which, sql, err);

	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, from);
	if (to != 0)
		sq_bind(stmt, 2, to);
	return sq_run(&sq->conn, stmt, err);
}

/* Look at a delivery's jobs: what they make it, and when the last ended. */
static int
class_of(struct sq *sq, const struct swept *d, enum class *ret,
    uint64_t *ret_ended, struct err *err)
{
	sqlite3_stmt *stmt;
	uint64_t state;
	int rc;

	*ret = d->state == STORE_INVALID ? CLASS_DEAD : CLASS_DONE;
	*ret_ended = d->received;
	if (d->state != 0)
		return 0;
	stmt = sq_get(&sq->conn, SQ_SWEEP_JOBS,
	    "SELECT state, ended FROM job WHERE id BETWEEN ? AND ?", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, d->id << SQ_JOB_BITS);
	sq_bind(stmt, 2, d->id << SQ_JOB_BITS | SQ_JOBS_MAX);
	while ((rc = sq_row(&sq->conn, stmt, err)) == 1) {
		state = sq_u64(stmt, 0);
		if (state == STORE_DEAD && *ret == CLASS_DONE)
			*ret = CLASS_DEAD;
		else if (state != STORE_DONE && state != STORE_DROPPED &&
			 state != STORE_DEAD)
			*ret = CLASS_LIVE;
		if (sq_u64(stmt, 1) > *ret_ended)
			*ret_ended = sq_u64(stmt, 1);
	}
	return rc;
}

/* Take the jobs of a delivery out of the counts. */
static int
untally(struct sq *sq, const struct swept *d, struct err *err)
{
	struct sq_script *sc;
	sqlite3_stmt *stmt;
	int rc;

	sq_tally(sq, NULL, STORE_PENDING, -1);
	if (d->state != 0)
		sq_tally(sq, NULL, (int)d->state, -1);
	stmt = sq_get(&sq->conn, SQ_SWEEP_SCRIPTS,
	    "SELECT script, state FROM job WHERE id BETWEEN ? AND ?", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, d->id << SQ_JOB_BITS);
	sq_bind(stmt, 2, d->id << SQ_JOB_BITS | SQ_JOBS_MAX);
	while ((rc = sq_row(&sq->conn, stmt, err)) == 1) {
		sc = sq_script_by_id(sq, sq_u64(stmt, 0));
		if (sc != NULL)
			sq_tally(sq, sc, (int)sq_u64(stmt, 1), -1);
	}
	return rc;
}

static int
drop_delivery(struct sq *sq, const struct swept *d, struct err *err)
{
	uint64_t from = d->id << SQ_JOB_BITS, to = from | SQ_JOBS_MAX;

	if (untally(sq, d, err) == -1)
		return -1;
	if (d->file != 0 && take_from_segment(sq, d->file, d->len, err) == -1)
		return -1;
	if (d->file == 0 &&
	    run_range(sq, SQ_DEL_BODY, "DELETE FROM body WHERE id = ?", d->id,
		0, err) == -1)
		return -1;
	if (d->state == 0 &&
	    (run_range(sq, SQ_DEL_RUNS,
		 "DELETE FROM run WHERE job BETWEEN ? AND ?", from, to,
		 err) == -1 ||
		run_range(sq, SQ_DEL_STEPS,
		    "DELETE FROM step WHERE job BETWEEN ? AND ?", from, to,
		    err) == -1 ||
		run_range(sq, SQ_DEL_JOBS,
		    "DELETE FROM job WHERE id BETWEEN ? AND ?", from, to,
		    err) == -1))
		return -1;
	sq->freed++;
	sq->slice_bytes += d->len;
	return run_range(sq, SQ_DEL_DELIVERY,
	    "DELETE FROM delivery WHERE id = ?", d->id, 0, err);
}

/* Whether a delivery may go now. */
static int
may_go(const struct sq *sq, enum class class, uint64_t ended)
{
	uint64_t keep_ms;

	if (class == CLASS_LIVE)
		return 0;
	if (sq->hunger >= 2 || (sq->hunger == 1 && class == CLASS_DONE))
		return 1;
	keep_ms = class == CLASS_DONE ? sq->retain_done_ms : sq->retain_dead_ms;
	return keep_ms != 0 && ended + keep_ms <= sq->now_ms;
}

/* The age from which a delivery may have to go; 0: none has to by its age. */
static uint64_t
least_age(const struct sq *sq)
{
	if (sq->retain_done_ms == 0 || sq->retain_dead_ms == 0)
		return sq->retain_done_ms + sq->retain_dead_ms;
	return sq->retain_done_ms < sq->retain_dead_ms ? sq->retain_done_ms
						       : sq->retain_dead_ms;
}

/* The next few deliveries. */
static int
next_deliveries(
    struct sq *sq, struct swept *few, size_t *ret_n, struct err *err)
{
	sqlite3_stmt *stmt;
	size_t n = 0;
	int rc = 0;

	stmt = sq_get(&sq->conn, SQ_SWEEP,
	    "SELECT id, state, received, file, len FROM delivery"
	    " WHERE id >= ? ORDER BY id",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, sq->sweep_id);
	while (
	    n < SLICE_DELIVERIES && (rc = sq_row(&sq->conn, stmt, err)) == 1) {
		few[n].id = sq_u64(stmt, 0);
		few[n].state = sq_u64(stmt, 1);
		few[n].received = sq_u64(stmt, 2);
		few[n].file = sq_u64(stmt, 3);
		few[n++].len = sq_u64(stmt, 4);
	}
	(void)sqlite3_reset(stmt);
	*ret_n = n;
	return rc == -1 ? -1 : 0;
}

/* Whether this slice has dropped what it is over the cap: look again first. */
static int
sated(const struct sq *sq)
{
	return sq->hunger > 0 && sq->slice_bytes + sq->max_bytes >=
				     sq->used_bytes + sq->max_bytes / 64;
}

/* Look at a few deliveries and drop those that may go.  1: there are more. */
static int
sweep(struct sq *sq, struct err *err)
{
	struct swept few[SLICE_DELIVERIES];
	uint64_t ended, age = least_age(sq);
	enum class class;
	size_t n, i;

	if (sq->hunger == 0 && age == 0)
		return 0;
	if (next_deliveries(sq, few, &n, err) == -1)
		return -1;
	for (i = 0; i < n && !sated(sq); i++) {
		/* They came in this order: the rest is younger still.  But
		 * the clock may have been ahead for a while. */
		if (sq->hunger == 0 && few[i].received + age > sq->now_ms &&
		    few[i].received <= sq->now_ms)
			return 0;
		sq->sweep_id = few[i].id + 1;
		if (class_of(sq, &few[i], &class, &ended, err) == -1)
			return -1;
		if (may_go(sq, class, ended) &&
		    drop_delivery(sq, &few[i], err) == -1)
			return -1;
	}
	return n == SLICE_DELIVERIES || sated(sq);
}

/* ---- segments
 * ----------------------------------------------------------------------
 */

/* Find segments that nothing speaks of any more; their files go after the
 * commit, and are unknown at the next open if that never comes. */
static int
drop_segments(struct sq *sq, struct err *err)
{
	sqlite3_stmt *stmt;
	uint64_t current, used;
	size_t i;
	int rc = 0;

	if (save_less(sq, err) == -1)
		return -1;
	current = segment_current(sq->segment, &used);
	stmt = sq_get(&sq->conn, SQ_SEGMENT_DEAD,
	    "SELECT id FROM segment WHERE records <= 0 AND id <> ?", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, current);
	while (sq->ndead_files < SQ_DEAD_FILES &&
	       (rc = sq_row(&sq->conn, stmt, err)) == 1)
		sq->dead_files[sq->ndead_files++] = sq_u64(stmt, 0);
	(void)sqlite3_reset(stmt);
	for (i = 0; i < sq->ndead_files && rc != -1; i++)
		rc = run_range(sq, SQ_SEGMENT_DEL,
		    "DELETE FROM segment WHERE id = ?", sq->dead_files[i], 0,
		    err);
	return rc == -1 ? -1 : 0;
}

/* Choose a segment that is worth being emptied.  1: there is one. */
static int
choose_sparse(struct sq *sq, struct err *err)
{
	sqlite3_stmt *stmt;
	uint64_t current, used;
	int rc;

	current = segment_current(sq->segment, &used);
	stmt = sq_get(&sq->conn, SQ_SEGMENT_SPARSE,
	    "SELECT id, first FROM segment WHERE id <> ? AND records > 0"
	    " AND bytes * 100 < used * ? ORDER BY bytes LIMIT 1",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, current);
	sq_bind(stmt, 2, sq->hunger > 0 ? HUNGRY_PERCENT : SPARSE_PERCENT);
	rc = sq_row(&sq->conn, stmt, err);
	if (rc == 1) {
		sq->move_file = sq_u64(stmt, 0);
		sq->move_id = sq_u64(stmt, 1);
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

/* Move one record into the database. */
static int
move_record(
    struct sq *sq, uint64_t id, const struct segment_ref *ref, struct err *err)
{
	char *data = NULL;
	sqlite3_stmt *stmt;
	struct err why;
	int rc = -1;

	/* One that cannot be read is kept as one that is damaged. */
	if (segment_read_raw(sq->bodies, ref, id, &data, &why) == -1 &&
	    why.code != ERR_INVALID) {
		*err = why;
		return -1;
	}
	stmt = sq_get(&sq->conn, SQ_MOVE_ADD,
	    "INSERT OR REPLACE INTO body (id, record) VALUES (?, ?)", err);
	if (stmt == NULL)
		goto out;
	sq_bind(stmt, 1, id);
	sq_bind_blob(stmt, 2, (struct str){data, data == NULL ? 0 : ref->len});
	if (sq_run(&sq->conn, stmt, err) == -1 ||
	    run_range(sq, SQ_MOVE_REF,
		"UPDATE delivery SET file = 0, offset = 0 WHERE id = ?", id, 0,
		err) == -1)
		goto out;
	sq->freed++;
	rc = take_from_segment(sq, ref->file, ref->len, err);
out:
	free(data);
	return rc;
}

/* Move a few records out of a sparse segment.  1: there is more to move. */
static int
move(struct sq *sq, struct err *err)
{
	struct segment_ref refs[SLICE_MOVES];
	uint64_t ids[SLICE_MOVES];
	sqlite3_stmt *stmt;
	size_t n = 0, i;
	int rc = 0;

	if (sq->move_file == 0) {
		rc = choose_sparse(sq, err);
		if (rc != 1)
			return rc;
	}
	stmt = sq_get(&sq->conn, SQ_MOVE_FIND,
	    "SELECT id, offset, len FROM delivery WHERE id >= ? AND file = ?"
	    " ORDER BY id",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, sq->move_id);
	sq_bind(stmt, 2, sq->move_file);
	while (n < SLICE_MOVES && (rc = sq_row(&sq->conn, stmt, err)) == 1) {
		ids[n] = sq_u64(stmt, 0);
		refs[n].file = sq->move_file;
		refs[n].offset = sq_u64(stmt, 1);
		refs[n++].len = sq_u64(stmt, 2);
	}
	(void)sqlite3_reset(stmt);
	for (i = 0; i < n && rc != -1; i++) {
		rc = move_record(sq, ids[i], &refs[i], err);
		sq->move_id = ids[i] + 1;
	}
	if (rc == -1)
		return -1;
	if (n == SLICE_MOVES)
		return 1;
	sq->move_file = 0;
	return drop_segments(sq, err) == -1 ? -1 : 1;
}

/* ---- rounds
 * ------------------------------------------------------------------------
 */

/* Forget keys that are out of their window. */
static int
expire_seen(struct sq *sq, struct err *err)
{
	uint64_t keep = seen_keep_ms(sq->seen), now = sq_steady_ms(sq);
	sqlite3_stmt *stmt;

	if (now < keep)
		return 0;
	stmt = sq_get(&sq->conn, SQ_SEEN_EXPIRED,
	    "DELETE FROM seen WHERE id IN (SELECT id FROM seen ORDER BY id"
	    " LIMIT 64) AND at < ?",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, now - keep);
	if (sq_run(&sq->conn, stmt, err) == -1)
		return -1;
	return sqlite3_changes(sq->conn.db) == 64;
}

/* A step of the round.  1: more of this phase, 0: it is over, or -1. */
static int
step(struct sq *sq, struct err *err)
{
	int rc;

	switch ((enum phase)sq->phase) {
	case PHASE_CLOCK:
		rc = sq->set_back ? sq_retry_earlier(sq, err) : 0;
		sq->set_back = rc != 0;
		return rc;
	case PHASE_KV:
		if (sq_record_expire(sq, err) == -1)
			return -1;
		rc = sq_kv_expire(sq, err);
		return rc == -1 ? -1 : rc > 0;
	case PHASE_GONE:
		return sq_bury_gone(sq, err);
	case PHASE_SEEN:
		return expire_seen(sq, err);
	case PHASE_SWEEP:
		rc = sweep(sq, err);
		if (rc == 0 && drop_segments(sq, err) == -1)
			return -1;
		return rc;
	case PHASE_MOVE:
		return move(sq, err);
	case PHASE_END:
		break;
	}
	return 0;
}

/* Ids are never used again: remember the last before its row may go. */
static int
save_last_id(struct sq *sq, struct err *err)
{
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_META_SET,
	    "INSERT INTO meta (key, value) VALUES (?, ?)"
	    " ON CONFLICT DO UPDATE SET value = excluded.value",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind_text(stmt, 1, "last_id");
	sq_bind(stmt, 2, sq->next_id - 1);
	return sq_run(&sq->conn, stmt, err);
}

/* Work for a few ms in one transaction. */
static int
slice(struct sq *sq, uint64_t budget_ms, struct err *err)
{
	uint64_t until = clock_mono_ms() + budget_ms / 2;
	unsigned int freed = sq->freed;
	int rc = 0, wrote;
	size_t i;

	sq->ndead_files = 0;
	sq->slice_bytes = 0;
	sq->less_records = sq->less_bytes = 0;
	if (store_sqlite.begin(sq, err) == -1)
		return -1;
	while (sq->phase != PHASE_END && sq->ndead_files == 0 && !sated(sq) &&
	       clock_mono_ms() <= until) {
		rc = step(sq, err);
		if (rc == -1)
			goto failed;
		if (rc == 0)
			sq->phase++;
	}
	if (drop_segments(sq, err) == -1 ||
	    (sq->freed != freed && save_last_id(sq, err) == -1) ||
	    store_sqlite.commit(sq, &wrote, err) == -1)
		goto failed;
	store_fault("retention: committed");
	for (i = 0; i < sq->ndead_files; i++)
		segment_delete(sq->segment, sq->dead_files[i]);
	if (sq->ndead_files > 0) {
		segment_reader_rest(sq->bodies);
		store_nudge(sq->store);
	}
	return 0;
failed:
	sq->set_back = 1; /* What was put right is not. */
	store_sqlite.rollback(sq);
	return -1;
}

/* The round is over: what comes next?  Returns in how many ms. */
static uint64_t
end_round(struct sq *sq)
{
	uint64_t wait = ROUND_MS, age = least_age(sq);

	if (age > 0 && age / 4 < wait)
		wait = age / 4;
	if (sq->retain_gone_ms > 0 && sq->retain_gone_ms / 4 < wait)
		wait = sq->retain_gone_ms / 4;
	if (wait < ROUND_MIN_MS)
		wait = ROUND_MIN_MS;
	if (sq->hunger > 0) {
		/* Nothing went: try what is more dear; then give up. */
		wait = 0;
		if (sq->freed == 0 && sq->hunger == 1) {
			sq->hunger = 2;
		} else if (sq->freed == 0) {
			sq->full = 1;
			wait = LOOK_MS;
		} else {
			sq->hunger = 1;
		}
	}
	sq->phase = PHASE_CLOCK;
	sq->sweep_id = 0;
	sq->freed = 0;
	sq->move_file = 0;
	return wait;
}

uint64_t
sq_upkeep(void *self, uint64_t budget_ms)
{
	uint64_t now = clock_mono_ms(), wait;
	struct sq *sq = self;
	struct err err;

	if ((sq->grown_bytes > 0 || sq->hunger > 0) &&
	    sq_measure(sq, &err) == -1)
		return LOOK_MS;
	if (now < sq->round_mono_ms && (sq->hunger == 0 || sq->full)) {
		wait = sq->round_mono_ms - now;
		return wait > LOOK_MS ? LOOK_MS : wait;
	}
	if (slice(sq, budget_ms, &err) == -1 || sq_measure(sq, &err) == -1)
		return LOOK_MS;
	if (sq->phase != PHASE_END)
		return 0;
	wait = end_round(sq);
	show_fill(sq);
	sq->round_mono_ms = clock_mono_ms() + wait;
	return wait > LOOK_MS ? LOOK_MS : wait;
}
