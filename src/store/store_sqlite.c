#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#include "store/store_sqlite_internal.h"

#define TEND_PAGES 1000 /* The reader checkpoints each time that many came. */
#define CATCH_UP_PAGES                                                         \
	8000 /* The writer does the rest, and the log restarts. */
#define CLOCK_SLACK_MS 1000 /* Less than that was no setting of the clock. */

uint64_t
sq_steady_ms(const struct sq *sq)
{
	return sq->start_unix_ms + (clock_mono_ms() - sq->start_mono_ms);
}

/* ---- scripts and counts ----------------------------------------------------
 */

enum store_applied
sq_refuse(struct store_op *op, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	op->rc = -1;
	op->err.code = code;
	op->err.sys_errno = 0;
	va_start(ap, fmt);
	(void)vsnprintf(op->err.msg, sizeof(op->err.msg), fmt, ap);
	va_end(ap);
	return STORE_APPLIED;
}

/* Where a script is among the others, or belongs. */
static size_t
script_place(
    const struct sq *sq, const char *integration, const char *name, int *found)
{
	size_t low = 0, high = sq->nscripts, mid;
	int order;

	*found = 0;
	while (low < high) {
		mid = low + (high - low) / 2;
		order = strcmp(name, sq->scripts[mid]->name);
		if (order == 0)
			order =
			    strcmp(integration, sq->scripts[mid]->integration);
		if (order == 0) {
			*found = 1;
			return mid;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static struct sq_script *
add_script(struct sq *sq, size_t at, uint64_t id, const char *integration,
    const char *name)
{
	struct sq_script *sc = mem_zalloc(sizeof(*sc));

	sc->id = id;
	sc->integration = mem_strdup(integration);
	sc->name = mem_strdup(name);
	sc->slot = store_slot_create(sq->store, integration, name);
	sq->scripts = mem_grow(sq->scripts, &sq->scripts_cap, sq->nscripts + 1,
	    sizeof(struct sq_script *));
	(void)memmove(&sq->scripts[at + 1], &sq->scripts[at],
	    (sq->nscripts - at) * sizeof(struct sq_script *));
	sq->scripts[at] = sc;
	sq->nscripts++;
	if (id > sq->last_script)
		sq->last_script = id;
	return sc;
}

void
sq_script_saved(
    struct sq *sq, uint64_t id, const char *integration, const char *name)
{
	int found;
	size_t at = script_place(sq, integration, name, &found);

	add_script(sq, at, id, integration, name)->saved = 1;
}

struct sq_script *
sq_script(struct sq *sq, const char *integration, const char *name, int make,
    struct err *err)
{
	struct sq_script *sc;
	sqlite3_stmt *stmt;
	size_t at;
	int found;

	at = script_place(sq, integration, name, &found);
	if (found && (sq->scripts[at]->saved || !make))
		return sq->scripts[at];
	if (!found && !make) {
		err->code = ERR_NONE;
		return NULL;
	}
	sc = found ? sq->scripts[at]
		   : add_script(sq, at, sq->last_script + 1, integration, name);
	stmt = sq_get(&sq->conn, SQ_SCRIPT_ADD,
	    "INSERT INTO script (id, integration, name) VALUES (?, ?, ?)", err);
	if (stmt == NULL)
		return NULL;
	sq_bind(stmt, 1, sc->id);
	sq_bind_text(stmt, 2, sc->integration);
	sq_bind_text(stmt, 3, sc->name);
	if (sq_run(&sq->conn, stmt, err) == -1)
		return NULL;
	sc->saved = sc->fresh = 1;
	return sc;
}

struct sq_script *
sq_script_by_id(struct sq *sq, uint64_t id)
{
	size_t i;

	for (i = 0; i < sq->nscripts; i++) {
		if (sq->scripts[i]->id == id)
			return sq->scripts[i];
	}
	return NULL;
}

void
sq_tally(struct sq *sq, struct sq_script *script, int from, int to)
{
	int64_t *delta = script == NULL ? sq->delta : script->delta;

	if (from >= 0)
		delta[from]--;
	if (to >= 0)
		delta[to]++;
}

void
sq_job_moved(struct sq *sq, struct sq_script *script, uint64_t order_hash,
    int from, int to)
{
	int32_t holders = 0, blocked = 0;

	sq_tally(sq, script, from, to);
	holders += to == STORE_PENDING;
	holders -= from == STORE_PENDING;
	if (sq->strict_order) {
		holders += to == STORE_RETRYING;
		holders -= from == STORE_RETRYING;
	}
	blocked += to == SQ_BLOCKED;
	blocked -= from == SQ_BLOCKED;
	if (holders != 0 || blocked != 0)
		keys_add(sq->keys, order_hash, holders, blocked);
}

/* Write the changes of one set of counts. */
static int
save_tally(struct sq *sq, uint64_t script, int64_t *delta, struct err *err)
{
	sqlite3_stmt *stmt;
	int i;

	for (i = 0; i < SQ_STATES; i++) {
		if (delta[i] == 0)
			continue;
		stmt = sq_get(&sq->conn, SQ_TALLY_ADD,
		    "INSERT INTO tally (script, state, n) VALUES (?, ?, ?)"
		    " ON CONFLICT DO UPDATE SET n = n + excluded.n",
		    err);
		if (stmt == NULL)
			return -1;
		sq_bind(stmt, 1, script);
		sq_bind(stmt, 2, (uint64_t)i);
		(void)sqlite3_bind_int64(stmt, 3, delta[i]);
		if (sq_run(&sq->conn, stmt, err) == -1)
			return -1;
		delta[i] = 0;
	}
	return 0;
}

/* Write what the group has put into the segment. */
static int
save_segment(struct sq *sq, struct err *err)
{
	sqlite3_stmt *stmt;

	if (sq->seg_records == 0)
		return 0;
	stmt = sq_get(&sq->conn, SQ_SEGMENT_ADD,
	    "INSERT INTO segment (id, used, records, bytes, first)"
	    " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
	    " SET used = excluded.used, records = records + excluded.records,"
	    " bytes = bytes + excluded.bytes",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, sq->seg_file);
	sq_bind(stmt, 2, sq->seg_used);
	(void)sqlite3_bind_int64(stmt, 3, sq->seg_records);
	(void)sqlite3_bind_int64(stmt, 4, sq->seg_bytes);
	sq_bind(stmt, 5, sq->first_id);
	sq->seg_records = sq->seg_bytes = 0;
	return sq_run(&sq->conn, stmt, err);
}

int
sq_count_record(struct sq *sq, const struct segment_ref *ref, struct err *err)
{
	if (ref->file != sq->seg_file && save_segment(sq, err) == -1)
		return -1;
	sq->seg_file = ref->file;
	sq->seg_used = ref->offset + ref->len;
	sq->seg_records++;
	sq->seg_bytes += (int64_t)ref->len;
	return 0;
}

/* Write which keys the group has brought. */
static int
save_seen(struct sq *sq, struct err *err)
{
	sqlite3_stmt *stmt;

	if (sq->nentries == 0)
		return 0;
	stmt = sq_get(&sq->conn, SQ_SEEN_ADD,
	    "INSERT INTO seen (id, at, entries) VALUES (?, ?, ?)", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, sq->first_id);
	sq_bind(stmt, 2, sq_steady_ms(sq));
	sq_bind_blob(stmt, 3,
	    (struct str){(const char *)sq->entries,
		sq->nentries * sizeof(*sq->entries)});
	return sq_run(&sq->conn, stmt, err);
}

/* ---- a group ----------------------------------------------------------------
 */

static void engine_rollback(void *self);

static int
engine_begin(void *self, struct err *err)
{
	struct sq *sq = self;
	uint64_t now = clock_unix_ms();
	int was_open = sq->open;
	sqlite3_stmt *stmt;

	if (!was_open) {
		stmt = sq_get(&sq->conn, SQ_BEGIN, "BEGIN IMMEDIATE", err);
		if (stmt == NULL || sq_run(&sq->conn, stmt, err) == -1)
			return -1;
		sq->open = 1;
		sq->first_id = sq->next_id;
		sq->changes = sqlite3_total_changes(sq->conn.db);
	}
	if (now + CLOCK_SLACK_MS < sq->now_ms) {
		sq->set_back = 1;
		sq->round_mono_ms = 0;
	}
	sq->now_ms = now;
	seen_advance(sq->seen, sq_steady_ms(sq), sq->next_id);
	if (!was_open && sq_redo(sq, err) == -1) {
		engine_rollback(sq);
		return -1;
	}
	return 0;
}

/* Note which jobs were claimed. */
static void
note_claim(struct sq *sq, const struct store_claim *op)
{
	size_t i;

	for (i = 0; i < op->ret_njobs; i++)
		sq_redo_claim(
		    sq, running_find(sq->running, op->ret_jobs[i]->id));
}

static enum store_applied
engine_apply(void *self, struct store_op *op, struct err *err)
{
	struct sq *sq = self;
	struct store_claim *claim;
	enum store_applied rc;

	switch (op->kind) {
	case STORE_OP_APPEND:
		return sq_append(
		    sq, CONTAINER_OF(op, struct store_append, op), err);
	case STORE_OP_CLAIM:
		claim = CONTAINER_OF(op, struct store_claim, op);
		rc = sq_claim(sq, claim, err);
		if (rc == STORE_APPLIED)
			note_claim(sq, claim);
		return rc;
	case STORE_OP_FINISH:
		return sq_finish(
		    sq, CONTAINER_OF(op, struct store_finish, op), err);
	case STORE_OP_STEP:
		return sq_step(
		    sq, CONTAINER_OF(op, struct store_step_put, op), err);
	case STORE_OP_KV:
		return sq_kv(sq, CONTAINER_OF(op, struct store_kv, op), err);
	case STORE_OP_RECORD:
		return sq_record(
		    sq, CONTAINER_OF(op, struct store_record, op), err);
	case STORE_OP_REPLAY:
		return sq_replay(
		    sq, CONTAINER_OF(op, struct store_replay, op), err);
	case STORE_OP_DISCARD:
		return sq_discard(
		    sq, CONTAINER_OF(op, struct store_discard, op), err);
	case STORE_OP_PRESENT:
		return sq_present(
		    sq, CONTAINER_OF(op, struct store_present, op), err);
	case STORE_OP_SCHEDULES:
		return sq_schedules(
		    sq, CONTAINER_OF(op, struct store_schedules, op), err);
	case STORE_OP_INVALID:
	case STORE_OP_COUNTS:
	case STORE_OP_LIST:
	case STORE_OP_GET:
		break; /* The reader's. */
	}
	return sq_refuse(op, ERR_INTERNAL, "no such operation");
}

/* The transaction is over, one way or the other. */
static void
end_transaction(struct sq *sq)
{
	sq->open = 0;
	sq->nentries = 0;
	sq->seg_records = sq->seg_bytes = 0;
	(void)memset(sq->delta, 0, sizeof(sq->delta));
}

static int
engine_sync(void *self, int all, int *ret_rows, struct err *err)
{
	struct sq *sq = self;
	size_t i;

	store_fault("sync: begin");
	if (segment_sync(sq->segment, err) == -1)
		return -1;
	store_fault("sync: the log is durable");
	sq_redo_keep(sq, all);
	*ret_rows = sqlite3_total_changes(sq->conn.db) != sq->changes;
	for (i = 0; i < sq->nscripts; i++) {
		if (!sq->scripts[i]->ready)
			continue;
		sq->scripts[i]->ready = 0;
		store_slot_ready(sq->scripts[i]->slot);
	}
	return 0;
}

static int
engine_commit(void *self, int *ret_wrote, struct err *err)
{
	struct sq *sq = self;
	struct sq_script *sc;
	sqlite3_stmt *stmt;
	size_t i;

	store_fault("commit: begin");
	if (save_seen(sq, err) == -1 || save_segment(sq, err) == -1 ||
	    save_tally(sq, 0, sq->delta, err) == -1)
		return -1;
	for (i = 0; i < sq->nscripts; i++) {
		if (save_tally(sq, sq->scripts[i]->id, sq->scripts[i]->delta,
			err) == -1)
			return -1;
	}
	store_fault("commit: the rows are complete");
	stmt = sq_get(&sq->conn, SQ_COMMIT, "COMMIT", err);
	if (stmt == NULL || sq_run(&sq->conn, stmt, err) == -1)
		return -1;
	store_fault("commit: rows are durable");
	*ret_wrote = sqlite3_total_changes(sq->conn.db) != sq->changes;
	running_commit(sq->running);
	keys_commit(sq->keys);
	sq_redo_clear(sq);
	end_transaction(sq);
	for (i = 0; i < sq->nscripts; i++) {
		sc = sq->scripts[i];
		sc->fresh = 0;
		if (sc->ready || sc->late)
			store_slot_ready(sc->slot);
		sc->ready = sc->late = 0;
	}
	return 0;
}

static void
reset_all(struct sq_conn *conn)
{
	size_t i;

	for (i = 0; i < SQ_STATEMENTS; i++) {
		if (conn->stmts[i] != NULL)
			(void)sqlite3_reset(conn->stmts[i]);
	}
}

static void
engine_rollback(void *self)
{
	struct sq *sq = self;
	struct sq_script *sc;
	size_t i;

	reset_all(&sq->conn);
	if (!sqlite3_get_autocommit(sq->conn.db))
		(void)sqlite3_exec(sq->conn.db, "ROLLBACK", NULL, NULL, NULL);
	/* A log that is in the database as a whole begins anew: then rows may
	 * need no more room than there is. */
	(void)sqlite3_wal_checkpoint_v2(
	    sq->conn.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	/* There is none yet while rows are made again from the log. */
	if (sq->segment != NULL)
		segment_drop(sq->segment);
	sq_redo_drop(sq);
	running_rollback(sq->running);
	keys_rollback(sq->keys);
	for (i = 0; i < sq->nentries; i++)
		seen_forget(sq->seen, &sq->entries[i]);
	sq->next_id = sq->first_id;
	for (i = 0; i < sq->nscripts; i++) {
		sc = sq->scripts[i];
		if (sc->fresh)
			sc->saved = sc->fresh = 0;
		sc->cursor = 0;
		sc->ready = 0;
		sc->skipped = 1; /* Perhaps: a finish had seen to it. */
		(void)memset(sc->delta, 0, sizeof(sc->delta));
	}
	end_transaction(sq);
}

static int
engine_probe(void *self, struct err *err)
{
	struct sq *sq = self;
	sqlite3_stmt *stmt;

	if (segment_probe(sq->segment, err) == -1 ||
	    engine_begin(sq, err) == -1)
		return -1;
	stmt = sq_get(&sq->conn, SQ_META_SET,
	    "INSERT INTO meta (key, value) VALUES (?, ?)"
	    " ON CONFLICT DO UPDATE SET value = excluded.value",
	    err);
	if (stmt != NULL) {
		sq_bind_text(stmt, 1, "probed");
		sq_bind(stmt, 2, sq->now_ms);
		if (sq_run(&sq->conn, stmt, err) == 0)
			return 0;
	}
	engine_rollback(sq);
	return -1;
}

/* ---- the reader
 * -------------------------------------------------------------- */

int
sq_out_of_time(void *cookie)
{
	const struct sq *sq = cookie;

	return clock_mono_ms() > sq->deadline_mono_ms;
}

static void
engine_read(void *self, struct store_op *op)
{
	struct sq *sq = self;

	sq->deadline_mono_ms = clock_mono_ms() + sq->read_limit_ms;
	if (op->kind == STORE_OP_LIST)
		sq_list(sq, CONTAINER_OF(op, struct store_list, op));
	else if (op->kind == STORE_OP_GET)
		sq_show(sq, CONTAINER_OF(op, struct store_get, op));
	else if (op->kind == STORE_OP_INVALID)
		sq_invalid(sq, CONTAINER_OF(op, struct store_invalid_page, op));
	else
		sq_counts(sq, CONTAINER_OF(op, struct store_counts, op));

	/* What was left in the middle would go on seeing what was there then.
	 */
	if (op->rc == -1)
		reset_all(&sq->rconn);
}

/*
 * The log is copied into the database beside the writer, which goes on
 * meanwhile; what it has added then is little.
 */
static void
engine_tend(void *self)
{
	struct sq *sq = self;

	segment_reader_rest(sq->rbodies);
	sq->deadline_mono_ms = UINT64_MAX;
	(void)sqlite3_wal_checkpoint_v2(
	    sq->rconn.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

int
sq_committed(void *cookie, sqlite3 *db, const char *name, int pages)
{
	struct sq *sq = cookie;

	(void)name;
	if (pages < sq->wal_pages)
		sq->wal_pages = 0; /* The log began anew. */
	if (pages >= CATCH_UP_PAGES && pages - sq->wal_pages >= TEND_PAGES / 4)
		(void)sqlite3_wal_checkpoint_v2(
		    db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	else if (pages - sq->wal_pages >= TEND_PAGES)
		store_nudge(sq->store);
	else
		return SQLITE_OK;
	sq->wal_pages = pages;
	return SQLITE_OK;
}

const struct store_engine store_sqlite = {
    .open = sq_open,
    .close = sq_close,
    .begin = engine_begin,
    .apply = engine_apply,
    .sync = engine_sync,
    .commit = engine_commit,
    .rollback = engine_rollback,
    .probe = engine_probe,
    .upkeep = sq_upkeep,
    .read = engine_read,
    .tend = engine_tend,
};
