#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

#include "store/store_sqlite_internal.h"

/*
 * One step a version; user_version counts those that were taken.  A step that
 * has been in a release is never changed.
 *
 * delivery.state is null where the jobs say it.  job.due is null for a job that
 * is neither due nor will be: the index on it holds only what can be claimed,
 * and so the done ones cost nothing.  In the same way job.blocked is null
 * unless the job waits for its ordering key, of which it then is the hash, and
 * job.failed unless the job is dropped or dead.
 */
static const char *const steps[] = {
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;"
    "CREATE TABLE script (id INTEGER PRIMARY KEY, integration TEXT NOT NULL,"
    "  name TEXT NOT NULL);"
    "CREATE TABLE delivery (id INTEGER PRIMARY KEY, state INTEGER,"
    "  integration TEXT, channel TEXT, resource TEXT, action TEXT,"
    "  request_id TEXT, idempotency_key TEXT, repeats INTEGER,"
    "  received INTEGER NOT NULL, file INTEGER NOT NULL,"
    "  offset INTEGER NOT NULL, len INTEGER NOT NULL, size INTEGER NOT NULL,"
    "  pointer TEXT, message TEXT);"
    "CREATE INDEX delivery_odd ON delivery (state) WHERE state IS NOT NULL;"
    "CREATE TABLE job (id INTEGER PRIMARY KEY, script INTEGER NOT NULL,"
    "  handler TEXT NOT NULL, state INTEGER NOT NULL, due INTEGER,"
    "  failed INTEGER, attempts INTEGER NOT NULL, runs INTEGER NOT NULL,"
    "  has_steps INTEGER NOT NULL, ended INTEGER, blocked INTEGER,"
    "  order_key BLOB);"
    "CREATE INDEX job_due ON job (script, due) WHERE due IS NOT NULL;"
    "CREATE INDEX job_blocked ON job (blocked) WHERE blocked IS NOT NULL;"
    "CREATE INDEX job_failed ON job (failed) WHERE failed IS NOT NULL;"
    "CREATE TABLE run (job INTEGER, n INTEGER, started INTEGER,"
    "  duration_ms INTEGER, cpu_us INTEGER, memory INTEGER, outcome TEXT,"
    "  error TEXT, traceback TEXT, log BLOB, calls BLOB,"
    "  PRIMARY KEY (job, n)) WITHOUT ROWID;"
    "CREATE TABLE step (job INTEGER, n INTEGER, name BLOB, result BLOB,"
    "  at INTEGER, PRIMARY KEY (job, n)) WITHOUT ROWID;"
    "CREATE TABLE kv (integration TEXT, key BLOB, value BLOB, expires INTEGER,"
    "  PRIMARY KEY (integration, key)) WITHOUT ROWID;"
    "CREATE INDEX kv_expires ON kv (expires) WHERE expires IS NOT NULL;"
    "CREATE TABLE kv_size (integration TEXT PRIMARY KEY, bytes INTEGER)"
    "  WITHOUT ROWID;"
    "CREATE TABLE tally (script INTEGER, state INTEGER, n INTEGER,"
    "  PRIMARY KEY (script, state)) WITHOUT ROWID;"
    "CREATE TABLE segment (id INTEGER PRIMARY KEY, used INTEGER,"
    "  records INTEGER, bytes INTEGER, first INTEGER);"
    "CREATE TABLE body (id INTEGER PRIMARY KEY, record BLOB);"
    "CREATE TABLE seen (id INTEGER PRIMARY KEY, at INTEGER, entries BLOB);",
    /* When the script went away. */
    "ALTER TABLE script ADD COLUMN gone INTEGER;",
    /* For lists: the deliveries of one script. */
    "CREATE INDEX job_script ON job (script);",
    /* The host's own, sealed; version 0 is a lease without a record. */
    "CREATE TABLE record (integration TEXT, kind TEXT, key BLOB,"
    "  version INTEGER NOT NULL, sealed BLOB, expires INTEGER, owner TEXT,"
    "  lease INTEGER, PRIMARY KEY (integration, kind, key)) WITHOUT ROWID;"
    "CREATE INDEX record_expires ON record (expires)"
    "  WHERE expires IS NOT NULL;",
    /* When each schedule was due the last time. */
    "CREATE TABLE schedule (integration TEXT, script TEXT, name TEXT,"
    "  rule TEXT NOT NULL, last INTEGER NOT NULL, delivery INTEGER,"
    "  PRIMARY KEY (integration, script, name)) WITHOUT ROWID;",
};

int
sq_migrate(struct sq_conn *conn, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	uint64_t version;
	char *sql;
	int rc = -1;

	if (sqlite3_prepare_v2(conn->db, "PRAGMA user_version", -1, &stmt,
		NULL) != SQLITE_OK ||
	    sqlite3_step(stmt) != SQLITE_ROW) {
		(void)sq_fail(conn, err, "read");
		goto out;
	}
	version = sq_u64(stmt, 0);
	(void)sqlite3_reset(stmt);
	if (version > NELEMS(steps)) {
		(void)err_set(err, ERR_INVALID,
		    "%s was written by a newer moonpost (version %llu of the "
		    "store, this one knows %zu): start that one, or use "
		    "another data folder",
		    conn->path, (unsigned long long)version, NELEMS(steps));
		goto out;
	}
	for (; version < NELEMS(steps); version++) {
		sql = sqlite3_mprintf(
		    "BEGIN IMMEDIATE; %s; PRAGMA user_version = %d; COMMIT",
		    steps[version], (int)version + 1);
		rc = sq_exec(conn, sql, err);
		sqlite3_free(sql);
		if (rc == -1) {
			(void)sqlite3_exec(
			    conn->db, "ROLLBACK", NULL, NULL, NULL);
			goto out;
		}
	}
	rc = 0;
out:
	(void)sqlite3_finalize(stmt);
	return rc;
}

int
sq_check_missing(const struct sq *sq, struct err *err)
{
	char *dir = mem_printf("%s/bodies", sq->dir);
	struct stat st;
	int missing, rc = 0;

	if (stat(sq->db_path, &st) == -1)
		missing = errno == ENOENT;
	else
		missing = st.st_size == 0;
	if (missing && segment_any(dir))
		rc = err_set(err, ERR_INVALID,
		    "%s is missing or empty, but there are bodies of "
		    "deliveries in %s: put back a copy of the data folder, or "
		    "move the folder away to begin anew",
		    sq->db_path, dir);
	free(dir);
	return rc;
}

int
sq_check_bodies(struct sq *sq, struct err *err)
{
	char *dir = mem_printf("%s/bodies", sq->dir);
	sqlite3_stmt *stmt = NULL;
	int rc;

	if (sqlite3_prepare_v2(sq->conn.db,
		"SELECT 1 FROM segment WHERE records > 0", -1, &stmt,
		NULL) != SQLITE_OK)
		rc = sq_fail(&sq->conn, err, "read");
	else
		rc = sq_row(&sq->conn, stmt, err);
	if (rc == 1)
		rc = segment_any(dir)
			 ? 0
			 : err_set(err, ERR_INVALID,
			       "the bodies of deliveries are "
			       "missing from %s: put back what was "
			       "there, or move the folder %s away "
			       "to begin anew",
			       dir, sq->dir);
	(void)sqlite3_finalize(stmt);
	free(dir);
	return rc;
}
