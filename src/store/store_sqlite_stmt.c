#include <errno.h>
#include <string.h>

#include "base/err.h"

#include "store/store_sqlite_internal.h"

int
sq_fail(struct sq_conn *conn, struct err *err, const char *what)
{
	int code = sqlite3_errcode(conn->db) & 0xFF, rc;
	enum err_code kind;

	switch (code) {
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
	case SQLITE_NOMEM:
	case SQLITE_PERM:
		kind = ERR_UNAVAILABLE;
		break;
	case SQLITE_INTERRUPT:
		kind = ERR_TIMEOUT;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set(err, ERR_INVALID,
		    "%s is damaged (%s): stop moonpost, put back a copy of the "
		    "data folder, or move the folder away to begin anew",
		    conn->path, sqlite3_errmsg(conn->db));
	default:
		kind = ERR_INTERNAL;
		break;
	}
	errno = sqlite3_system_errno(conn->db);
	rc = err_set(err, kind, "cannot %s %s: %s%s%s", what, conn->path,
	    sqlite3_errmsg(conn->db), errno != 0 ? ": " : "",
	    errno != 0 ? strerror(errno) : "");
	return rc;
}

sqlite3_stmt *
sq_get(
    struct sq_conn *conn, enum sq_sql which, const char *sql, struct err *err)
{
	sqlite3_stmt **stmt = &conn->stmts[which];

	if (LIKELY(*stmt != NULL)) {
		(void)sqlite3_reset(*stmt);
		return *stmt;
	}
	if (sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
		stmt, NULL) != SQLITE_OK)
		(void)sq_fail(conn, err, "use");
	return *stmt;
}

int
sq_row(struct sq_conn *conn, sqlite3_stmt *stmt, struct err *err)
{
	int code = sqlite3_step(stmt);

	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE)
		(void)sq_fail(conn, err, "use");
	(void)sqlite3_reset(stmt);
	return code == SQLITE_DONE ? 0 : -1;
}

int
sq_run(struct sq_conn *conn, sqlite3_stmt *stmt, struct err *err)
{
	int rc;

	do {
		rc = sq_row(conn, stmt, err);
	} while (rc == 1);
	return rc;
}

int
sq_exec(struct sq_conn *conn, const char *sql, struct err *err)
{
	if (sqlite3_exec(conn->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return sq_fail(conn, err, "use");
	return 0;
}

void
sq_bind(sqlite3_stmt *stmt, int at, uint64_t value)
{
	(void)sqlite3_bind_int64(stmt, at, (sqlite3_int64)value);
}

void
sq_bind_opt(sqlite3_stmt *stmt, int at, uint64_t value)
{
	if (value == 0)
		(void)sqlite3_bind_null(stmt, at);
	else
		sq_bind(stmt, at, value);
}

void
sq_bind_text(sqlite3_stmt *stmt, int at, const char *s)
{
	(void)sqlite3_bind_text(stmt, at, s, -1, SQLITE_STATIC);
}

void
sq_bind_blob(sqlite3_stmt *stmt, int at, struct str s)
{
	if (s.len == 0)
		(void)sqlite3_bind_null(stmt, at);
	else
		(void)sqlite3_bind_blob64(
		    stmt, at, s.data, s.len, SQLITE_STATIC);
}

uint64_t
sq_u64(sqlite3_stmt *stmt, int at)
{
	return (uint64_t)sqlite3_column_int64(stmt, at);
}

const char *
sq_text(sqlite3_stmt *stmt, int at)
{
	return (const char *)sqlite3_column_text(stmt, at);
}

struct str
sq_blob(sqlite3_stmt *stmt, int at)
{
	const char *data = sqlite3_column_blob(stmt, at);

	return (struct str){data, (size_t)sqlite3_column_bytes(stmt, at)};
}
