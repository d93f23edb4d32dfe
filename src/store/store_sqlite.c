#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include "store/store_sqlite_internal.h"

#define SEGMENT_BYTES (64U << 20)
#define SEGMENT_MIN (256U << 10)
#define READ_LIMIT_MS 2000
#define TEND_PAGES 1000 /* The reader checkpoints each time that many came. */
#define CATCH_UP_PAGES                                                         \
	8000 /* The writer does the rest, and the log restarts. */
#define PROGRESS_STEPS                                                         \
	1000 /* Of SQLite's machine between looks at the time.                 \
	      */

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
	sq_bind(stmt, 5, sq->group_first_id);
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
	sq_bind(stmt, 1, sq->group_first_id);
	sq_bind(stmt, 2, sq->now_ms);
	sq_bind_blob(stmt, 3,
	    (struct str){(const char *)sq->entries,
		sq->nentries * sizeof(*sq->entries)});
	return sq_run(&sq->conn, stmt, err);
}

/* ---- a group ----------------------------------------------------------------
 */

static int
engine_begin(void *self, struct err *err)
{
	struct sq *sq = self;
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_BEGIN, "BEGIN IMMEDIATE", err);
	if (stmt == NULL || sq_run(&sq->conn, stmt, err) == -1)
		return -1;
	sq->now_ms = clock_unix_ms();
	sq->group_first_id = sq->next_id;
	sq->changes = sqlite3_total_changes(sq->conn.db);
	seen_advance(sq->seen, sq->now_ms, sq->next_id);
	return 0;
}

static enum store_applied
engine_apply(void *self, struct store_op *op, struct err *err)
{
	struct sq *sq = self;

	switch (op->kind) {
	case STORE_OP_APPEND:
		return sq_append(
		    sq, CONTAINER_OF(op, struct store_append, op), err);
	case STORE_OP_CLAIM:
		return sq_claim(
		    sq, CONTAINER_OF(op, struct store_claim, op), err);
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
	case STORE_OP_INVALID:
	case STORE_OP_COUNTS:
	case STORE_OP_LIST:
	case STORE_OP_GET:
		break; /* The reader's. */
	}
	return sq_refuse(op, ERR_INTERNAL, "no such operation");
}

/* The group is over, one way or the other. */
static void
end_group(struct sq *sq)
{
	sq->nentries = 0;
	sq->seg_records = sq->seg_bytes = 0;
	(void)memset(sq->delta, 0, sizeof(sq->delta));
}

static int
engine_commit(void *self, int *ret_wrote, struct err *err)
{
	struct sq *sq = self;
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

	/* The bodies first: a row never speaks of one that is not there. */
	if (segment_sync(sq->segment, err) == -1)
		return -1;
	store_fault("commit: bodies are durable");
	stmt = sq_get(&sq->conn, SQ_COMMIT, "COMMIT", err);
	if (stmt == NULL || sq_run(&sq->conn, stmt, err) == -1)
		return -1;
	store_fault("commit: rows are durable");
	*ret_wrote = sqlite3_total_changes(sq->conn.db) != sq->changes;
	running_commit(sq->running);
	keys_commit(sq->keys);
	end_group(sq);
	for (i = 0; i < sq->nscripts; i++) {
		sq->scripts[i]->fresh = 0;
		if (!sq->scripts[i]->ready)
			continue;
		sq->scripts[i]->ready = 0;
		store_slot_ready(sq->scripts[i]->slot);
	}
	return 0;
}

static void
engine_rollback(void *self)
{
	struct sq *sq = self;
	struct sq_script *sc;
	size_t i;

	for (i = 0; i < SQ_STATEMENTS; i++) {
		if (sq->conn.stmts[i] != NULL)
			(void)sqlite3_reset(sq->conn.stmts[i]);
	}
	if (!sqlite3_get_autocommit(sq->conn.db))
		(void)sqlite3_exec(sq->conn.db, "ROLLBACK", NULL, NULL, NULL);
	segment_drop(sq->segment);
	running_rollback(sq->running);
	keys_rollback(sq->keys);
	for (i = 0; i < sq->nentries; i++)
		seen_forget(sq->seen, &sq->entries[i]);
	sq->next_id = sq->group_first_id;
	for (i = 0; i < sq->nscripts; i++) {
		sc = sq->scripts[i];
		if (sc->fresh)
			sc->saved = sc->fresh = 0;
		sc->cursor = 0;
		sc->ready = 0;
		(void)memset(sc->delta, 0, sizeof(sc->delta));
	}
	end_group(sq);
}

static int
engine_probe(void *self, struct err *err)
{
	struct sq *sq = self;
	sqlite3_stmt *stmt;
	int wrote;

	if (segment_probe(sq->segment, err) == -1)
		return -1;
	if (engine_begin(sq, err) == -1)
		return -1;
	stmt = sq_get(&sq->conn, SQ_META_SET,
	    "INSERT INTO meta (key, value) VALUES (?, ?)"
	    " ON CONFLICT DO UPDATE SET value = excluded.value",
	    err);
	if (stmt == NULL)
		goto failed;
	sq_bind_text(stmt, 1, "probed");
	sq_bind(stmt, 2, sq->now_ms);
	if (sq_run(&sq->conn, stmt, err) == 0 &&
	    engine_commit(sq, &wrote, err) == 0)
		return 0;
failed:
	engine_rollback(sq);
	return -1;
}

/* ---- the reader
 * -------------------------------------------------------------- */

static int
out_of_time(void *cookie)
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

static int
committed(void *cookie, sqlite3 *db, const char *name, int pages)
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

/* ---- open and close
 * ------------------------------------------------------------
 */

/* One host a data folder: the lock goes with the process, however it ends. */
static int
take_lock(struct sq *sq, struct err *err)
{
	char *path = mem_printf("%s/lock", sq->dir);
	char pid[32] = "";
	ssize_t n;
	int rc = -1;

	sq->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (sq->lock_fd == -1) {
		(void)err_set(err, ERR_UNAVAILABLE, "cannot open %s: %s", path,
		    strerror(errno));
		goto out;
	}
	if (flock(sq->lock_fd, LOCK_EX | LOCK_NB) == -1) {
		n = pread(sq->lock_fd, pid, sizeof(pid) - 1, 0);
		pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
		(void)err_set(err, ERR_UNAVAILABLE,
		    "the data folder %s is in use by another moonpost "
		    "(process %s): stop that one, or choose another folder "
		    "with --data",
		    sq->dir, pid[0] == '\0' ? "unknown" : pid);
		goto out;
	}
	(void)snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(sq->lock_fd, 0) == -1 ||
	    pwrite(sq->lock_fd, pid, strlen(pid), 0) == -1) {
		(void)err_set(err, ERR_UNAVAILABLE, "cannot write %s: %s", path,
		    strerror(errno));
		goto out;
	}
	rc = 0;
out:
	free(path);
	return rc;
}

static int
open_conn(struct sq_conn *conn, const char *path, struct err *err)
{
	conn->path = path;
	if (sqlite3_open_v2(path, &conn->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
		    SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK)
		return sq_fail(conn, err, "open");
	(void)sqlite3_busy_timeout(conn->db, 5000);
	return 0;
}

static void
close_conn(struct sq_conn *conn)
{
	size_t i;

	for (i = 0; i < SQ_STATEMENTS; i++)
		(void)sqlite3_finalize(conn->stmts[i]);
	(void)sqlite3_close(conn->db);
}

/* One number from one row. */
static int
ask(struct sq_conn *conn, const char *sql, uint64_t *ret, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = -1;

	if (sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL) != SQLITE_OK)
		(void)sq_fail(conn, err, "read");
	else if (sq_row(conn, stmt, err) == 1) {
		*ret = sq_u64(stmt, 0);
		rc = 0;
	}
	(void)sqlite3_finalize(stmt);
	return rc;
}

static int
load_scripts(struct sq *sq, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	struct sq_script *sc;
	int rc = -1, found;
	size_t at;

	if (sqlite3_prepare_v2(sq->conn.db,
		"SELECT id, integration, name FROM script", -1, &stmt,
		NULL) != SQLITE_OK)
		return sq_fail(&sq->conn, err, "read");
	while ((rc = sq_row(&sq->conn, stmt, err)) == 1) {
		at = script_place(
		    sq, sq_text(stmt, 1), sq_text(stmt, 2), &found);
		sc = add_script(sq, at, sq_u64(stmt, 0), sq_text(stmt, 1),
		    sq_text(stmt, 2));
		sc->saved = 1;
	}
	(void)sqlite3_finalize(stmt);
	return rc;
}

/* Which keys the jobs have that wait. */
static int
load_keys(struct sq *sq, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc;

	if (sqlite3_prepare_v2(sq->conn.db,
		"SELECT script, order_key, due FROM job INDEXED BY job_due"
		" WHERE due >= 0",
		-1, &stmt, NULL) != SQLITE_OK)
		return sq_fail(&sq->conn, err, "read");
	while ((rc = sq_row(&sq->conn, stmt, err)) == 1) {
		if (sq->strict_order || sq_u64(stmt, 2) == 0)
			keys_add(sq->keys,
			    sq_order_hash(sq_u64(stmt, 0), sq_blob(stmt, 1)), 1,
			    0);
		keys_commit(sq->keys);
	}
	(void)sqlite3_finalize(stmt);
	if (rc == -1)
		return -1;
	if (sqlite3_prepare_v2(sq->conn.db,
		"SELECT blocked FROM job WHERE blocked IS NOT NULL", -1, &stmt,
		NULL) != SQLITE_OK)
		return sq_fail(&sq->conn, err, "read");
	while ((rc = sq_row(&sq->conn, stmt, err)) == 1) {
		keys_add(sq->keys, sq_u64(stmt, 0), 0, 1);
		keys_commit(sq->keys);
	}
	(void)sqlite3_finalize(stmt);
	return rc;
}

static int
load_seen(struct sq *sq, uint64_t dedupe_window_ms, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	struct seen_entry e;
	struct str entries;
	size_t i;
	int rc;

	sq->seen = seen_create(dedupe_window_ms);
	if (sqlite3_prepare_v2(sq->conn.db,
		"SELECT id, at, entries FROM seen ORDER BY id", -1, &stmt,
		NULL) != SQLITE_OK)
		return sq_fail(&sq->conn, err, "read");
	while ((rc = sq_row(&sq->conn, stmt, err)) == 1) {
		seen_advance(sq->seen, sq_u64(stmt, 1), sq_u64(stmt, 0));
		entries = sq_blob(stmt, 2);
		for (i = 0; i + sizeof(e) <= entries.len; i += sizeof(e)) {
			(void)memcpy(&e, entries.data + i, sizeof(e));
			seen_add(sq->seen, &e);
			if (e.id >= sq->next_id)
				sq->next_id = e.id + 1;
		}
	}
	(void)sqlite3_finalize(stmt);
	return rc;
}

static int
segment_known(void *cookie, uint64_t file)
{
	struct sq *sq = cookie;
	sqlite3_stmt *stmt = NULL;
	struct err err;
	int known = 1;

	if (sqlite3_prepare_v2(sq->conn.db,
		"SELECT 1 FROM segment WHERE id = ?", -1, &stmt,
		NULL) == SQLITE_OK) {
		sq_bind(stmt, 1, file);
		known = sq_row(&sq->conn, stmt, &err) != 0;
	}
	(void)sqlite3_finalize(stmt);
	return known;
}

static int
open_bodies(struct sq *sq, uint64_t segment_bytes, struct err *err)
{
	char *dir = mem_printf("%s/bodies", sq->dir);
	uint64_t file = 0, used = 0;
	int rc = -1;

	/* Under a small cap small files, or dropping would free nothing. */
	if (segment_bytes == 0)
		segment_bytes = SEGMENT_BYTES;
	if (sq->max_bytes > 0 && segment_bytes > sq->max_bytes / 16)
		segment_bytes = sq->max_bytes / 16;
	if (segment_bytes < SEGMENT_MIN)
		segment_bytes = SEGMENT_MIN;
	if (ask(&sq->conn, "SELECT coalesce(max(id), 0) FROM segment", &file,
		err) == -1 ||
	    ask(&sq->conn,
		"SELECT coalesce(max(used), 0) FROM segment WHERE"
		" id = (SELECT max(id) FROM segment)",
		&used, err) == -1 ||
	    segment_open(dir, segment_bytes, file, used, &sq->segment, err) ==
		-1)
		goto out;
	segment_delete_unknown(sq->segment, segment_known, sq);
	sq->bodies = segment_reader_create(dir);
	sq->rbodies = segment_reader_create(dir);
	rc = 0;
out:
	free(dir);
	return rc;
}

/* The cap that holds: not more than 80 % of what the disk can give. */
static int
set_cap(struct sq *sq, uint64_t wanted, struct err *err)
{
	uint64_t pages, bodies, most;
	struct statvfs vfs;

	if (ask(&sq->conn, "PRAGMA page_count", &pages, err) == -1 ||
	    ask(&sq->conn, "SELECT coalesce(sum(used), 0) FROM segment",
		&bodies, err) == -1)
		return -1;
	sq->max_bytes = wanted;
	if (wanted == 0 || statvfs(sq->dir, &vfs) == -1)
		return 0;
	most = ((uint64_t)vfs.f_bavail * vfs.f_frsize + pages * 4096 + bodies) /
	       5 * 4;
	if (most < wanted)
		sq->max_bytes = most;
	return 0;
}

static int
open_database(
    struct sq *sq, const struct store_options *options, struct err *err)
{
	uint64_t id;

	if (open_conn(&sq->conn, sq->db_path, err) == -1 ||
	    sq_exec(&sq->conn,
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		"PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;"
		"PRAGMA cache_size = -32000;"
		"PRAGMA journal_size_limit = 67108864",
		err) == -1 ||
	    sq_migrate(&sq->conn, err) == -1)
		return -1;
	(void)chmod(sq->db_path, 0600);
	if (open_conn(&sq->rconn, sq->db_path, err) == -1 ||
	    sq_exec(&sq->rconn,
		"PRAGMA synchronous = FULL; PRAGMA query_only = 1;"
		"PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;"
		"PRAGMA cache_size = -8000",
		err) == -1)
		return -1;
	(void)sqlite3_wal_hook(sq->conn.db, committed, sq);
	sqlite3_progress_handler(sq->rconn.db, PROGRESS_STEPS, out_of_time, sq);

	/* Ids are never used again, also those of what was deleted. */
	if (ask(&sq->conn,
		"SELECT max((SELECT coalesce(max(id), 0) FROM delivery),"
		" (SELECT coalesce(max(value), 0) FROM meta"
		"  WHERE key = 'last_id'))",
		&id, err) == -1)
		return -1;
	sq->next_id = id + 1;
	if (load_scripts(sq, err) == -1 || load_keys(sq, err) == -1 ||
	    load_seen(sq, options->dedupe_window_ms, err) == -1)
		return -1;
	return 0;
}

static void
engine_close(void *self)
{
	struct sq *sq = self;
	size_t i;

	if (sq == NULL)
		return;
	close_conn(&sq->rconn);
	close_conn(&sq->conn);
	segment_close(sq->segment);
	segment_reader_free(sq->bodies);
	segment_reader_free(sq->rbodies);
	running_free(sq->running);
	keys_free(sq->keys);
	seen_free(sq->seen);
	for (i = 0; i < sq->nscripts; i++) {
		store_slot_free(sq->scripts[i]->slot);
		free(sq->scripts[i]->integration);
		free(sq->scripts[i]->name);
		free(sq->scripts[i]);
	}
	free(sq->scripts);
	free(sq->entries);
	if (sq->lock_fd != -1)
		(void)close(sq->lock_fd);
	free(sq->db_path);
	free(sq->dir);
	free(sq);
}

static int
engine_open(struct store *store, const struct store_options *options,
    void **ret_self, struct err *err)
{
	struct sq *sq = mem_zalloc(sizeof(*sq));
	int rc = -1;

	sq->store = store;
	sq->lock_fd = -1;
	sq->dir = mem_strdup(options->path);
	sq->db_path = mem_printf("%s/moonpost.db", options->path);
	sq->strict_order = options->strict_order;
	sq->retain_done_ms = options->retain_done_ms;
	sq->retain_dead_ms = options->retain_dead_ms;
	sq->retain_gone_ms = options->retain_gone_ms;
	sq->read_limit_ms = options->read_limit_ms == 0
				? READ_LIMIT_MS
				: options->read_limit_ms;
	sq->running = running_create();
	sq->keys = keys_create();
	if (file_make_dir(sq->dir, 0700, err) == -1 ||
	    take_lock(sq, err) == -1 || sq_check_missing(sq, err) == -1 ||
	    open_database(sq, options, err) == -1 ||
	    set_cap(sq, options->max_bytes, err) == -1 ||
	    open_bodies(sq, options->segment_bytes, err) == -1 ||
	    sq_measure(sq, err) == -1)
		goto out;
	*ret_self = sq;
	sq = NULL;
	rc = 0;
out:
	engine_close(sq);
	return rc;
}

const struct store_engine store_sqlite = {
    .open = engine_open,
    .close = engine_close,
    .begin = engine_begin,
    .apply = engine_apply,
    .commit = engine_commit,
    .rollback = engine_rollback,
    .probe = engine_probe,
    .upkeep = sq_upkeep,
    .read = engine_read,
    .tend = engine_tend,
};
