#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include "store/store_sqlite_internal.h"

#define SEGMENT_BYTES (64U << 20)
#define SEGMENT_MIN (256U << 10)
#define READ_LIMIT_MS 2000
/* Of SQLite's machine between looks at the time. */
#define PROGRESS_STEPS 1000

/* The segment that the rows speak of last, and how far. */
#define LAST_FILE "SELECT coalesce(max(id), 0) FROM segment"
#define LAST_USED                                                              \
	"SELECT coalesce(max(used), 0) FROM segment"                           \
	" WHERE id = (SELECT max(id) FROM segment)"

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
	int rc;

	if (sqlite3_prepare_v2(sq->conn.db,
		"SELECT id, integration, name FROM script", -1, &stmt,
		NULL) != SQLITE_OK)
		return sq_fail(&sq->conn, err, "read");
	while ((rc = sq_row(&sq->conn, stmt, err)) == 1) {
		sq_script_saved(
		    sq, sq_u64(stmt, 0), sq_text(stmt, 1), sq_text(stmt, 2));
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
	uint64_t ahead_ms;
	char *sql;
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
	if (rc == -1)
		return -1;
	ahead_ms = seen_set_back(sq->seen, sq->start_unix_ms);
	if (ahead_ms == 0)
		return 0;
	sql = sqlite3_mprintf("UPDATE seen SET at = max(0, at - %llu)",
	    (unsigned long long)ahead_ms);
	rc = sq_exec(&sq->conn, sql, err);
	sqlite3_free(sql);
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
	if (ask(&sq->conn, LAST_FILE, &file, err) == -1 ||
	    ask(&sq->conn, LAST_USED, &used, err) == -1 ||
	    sq_recover(sq, dir, file, used, err) == -1 ||
	    ask(&sq->conn, LAST_FILE, &file, err) == -1 ||
	    ask(&sq->conn, LAST_USED, &used, err) == -1 ||
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
	(void)sqlite3_wal_hook(sq->conn.db, sq_committed, sq);
	sqlite3_progress_handler(
	    sq->rconn.db, PROGRESS_STEPS, sq_out_of_time, sq);

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

void
sq_close(void *self)
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
	sq_redo_clear(sq);
	free(sq->redo);
	if (sq->lock_fd != -1)
		(void)close(sq->lock_fd);
	free(sq->db_path);
	free(sq->dir);
	free(sq);
}

int
sq_open(struct store *store, const struct store_options *options,
    void **ret_self, struct err *err)
{
	struct sq *sq = mem_zalloc(sizeof(*sq));
	int rc = -1;

	/* It would count every block under a lock, and nobody asks. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sq->store = store;
	sq->lock_fd = -1;
	sq->dir = mem_strdup(options->path);
	sq->db_path = mem_printf("%s/moonpost.db", options->path);
	sq->start_unix_ms = clock_unix_ms();
	sq->start_mono_ms = clock_mono_ms();
	sq->set_back = 1;
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
	    sq_check_bodies(sq, err) == -1 ||
	    open_bodies(sq, options->segment_bytes, err) == -1 ||
	    sq_measure(sq, err) == -1)
		goto out;
	*ret_self = sq;
	sq = NULL;
	rc = 0;
out:
	sq_close(sq);
	return rc;
}
