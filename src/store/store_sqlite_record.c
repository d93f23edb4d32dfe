#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "store/store_sqlite_internal.h"

/* What is there under a key; all zero is nothing. */
struct found {
	int row;
	uint64_t version; /* 0: nothing but a lease. */
	struct buf sealed;
	struct buf owner;
	uint64_t lease; /* Until when. */
};

static void
bind_key(sqlite3_stmt *stmt, const struct store_record *op)
{
	sq_bind_text(stmt, 1, op->integration);
	sq_bind_text(stmt, 2, op->kind);
	(void)sqlite3_bind_blob64(
	    stmt, 3, op->key.data, op->key.len, SQLITE_STATIC);
}

static int
look_up(struct sq *sq, const struct store_record *op, struct found *found,
    struct err *err)
{
	sqlite3_stmt *stmt;
	struct str sealed;
	const char *owner;
	uint64_t expires;
	int rc;

	stmt = sq_get(&sq->conn, SQ_RECORD_GET,
	    "SELECT version, sealed, expires, owner, lease FROM record"
	    " WHERE integration = ? AND kind = ? AND key = ?",
	    err);
	if (stmt == NULL)
		return -1;
	bind_key(stmt, op);
	rc = sq_row(&sq->conn, stmt, err);
	if (rc == 1) {
		expires = sq_u64(stmt, 2);
		if (expires == 0 || expires > sq->now_ms) {
			found->row = 1;
			found->version = sq_u64(stmt, 0);
			sealed = sq_blob(stmt, 1);
			buf_put(&found->sealed, sealed.data, sealed.len);
			owner = sq_text(stmt, 3);
			if (owner != NULL)
				buf_puts(&found->owner, owner);
			found->lease = sq_u64(stmt, 4);
		}
		(void)sqlite3_reset(stmt);
	}
	return rc == -1 ? -1 : 0;
}

/* Whether there would be too many of a kind with one more: -1 is a failure. */
static int
is_full(struct sq *sq, const struct store_record *op, struct err *err)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = sq_get(&sq->conn, SQ_RECORD_COUNT,
	    "SELECT count(*) FROM record WHERE integration = ? AND kind = ?"
	    " AND (expires IS NULL OR expires > ?)",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind_text(stmt, 1, op->integration);
	sq_bind_text(stmt, 2, op->kind);
	sq_bind(stmt, 3, sq->now_ms);
	rc = sq_row(&sq->conn, stmt, err);
	if (rc == 1)
		rc = sq_u64(stmt, 0) >= op->max;
	(void)sqlite3_reset(stmt);
	return rc;
}

/* Write it; a lease that is on it stays. */
static int
set(struct sq *sq, const struct store_record *op, uint64_t version,
    struct err *err)
{
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_RECORD_SET,
	    "INSERT INTO record (integration, kind, key, version, sealed,"
	    " expires) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
	    " SET version = excluded.version, sealed = excluded.sealed,"
	    " expires = excluded.expires",
	    err);
	if (stmt == NULL)
		return -1;
	bind_key(stmt, op);
	sq_bind(stmt, 4, version);
	sq_bind_blob(stmt, 5, op->sealed);
	sq_bind_opt(stmt, 6, op->expires_unix_ms);
	return sq_run(&sq->conn, stmt, err);
}

static int delete (
    struct sq *sq, const struct store_record *op, struct err *err)
{
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_RECORD_DELETE,
	    "DELETE FROM record WHERE integration = ? AND kind = ? AND key = ?",
	    err);
	if (stmt == NULL)
		return -1;
	bind_key(stmt, op);
	return sq_run(&sq->conn, stmt, err);
}

static enum store_applied
put(struct sq *sq, struct store_record *op, struct found *found,
    struct err *err)
{
	int rc;

	if (op->sealed.len > STORE_RECORD_MAX)
		return sq_refuse(&op->op, ERR_TOO_LARGE,
		    "the record has %zu bytes, at most %d are kept",
		    op->sealed.len, STORE_RECORD_MAX);
	if (found->version != op->version)
		return STORE_APPLIED;
	if (found->version == 0 && op->max > 0) {
		rc = is_full(sq, op, err);
		if (rc == -1)
			return STORE_APPLIED_FAILED;
		if (rc == 1)
			return sq_refuse(&op->op, ERR_TOO_LARGE,
			    "there are %zu records of the kind %s already",
			    op->max, op->kind);
	}
	/* What has expired is in the way of nobody. */
	if (!found->row && delete (sq, op, err) == -1)
		return STORE_APPLIED_FAILED;
	if (set(sq, op, op->version + 1, err) == -1)
		return STORE_APPLIED_FAILED;
	op->ret_done = 1;
	found->version = op->version + 1;
	buf_reset(&found->sealed);
	return STORE_APPLIED;
}

/* A lease without a record goes by itself when it ends. */
static enum store_applied
lease(struct sq *sq, struct store_record *op, const struct found *found,
    struct err *err)
{
	uint64_t until = sq->now_ms + op->lease_ms;
	sqlite3_stmt *stmt;

	if (found->lease > sq->now_ms &&
	    strcmp(buf_text(&found->owner), op->owner) != 0) {
		op->ret_lease_ms = found->lease - sq->now_ms;
		return STORE_APPLIED;
	}
	if (!found->row && delete (sq, op, err) == -1)
		return STORE_APPLIED_FAILED;
	stmt = sq_get(&sq->conn, SQ_RECORD_LEASE,
	    "INSERT INTO record (integration, kind, key, version, expires,"
	    " owner, lease) VALUES (?, ?, ?, 0, ?5, ?4, ?5)"
	    " ON CONFLICT DO UPDATE SET owner = excluded.owner,"
	    " lease = excluded.lease,"
	    " expires = CASE version WHEN 0 THEN excluded.lease"
	    " ELSE expires END",
	    err);
	if (stmt == NULL)
		return STORE_APPLIED_FAILED;
	bind_key(stmt, op);
	sq_bind_text(stmt, 4, op->owner);
	sq_bind(stmt, 5, until);
	if (sq_run(&sq->conn, stmt, err) == -1)
		return STORE_APPLIED_FAILED;
	op->ret_done = 1;
	return STORE_APPLIED;
}

static enum store_applied
release(struct sq *sq, struct store_record *op, const struct found *found,
    struct err *err)
{
	sqlite3_stmt *stmt;

	if (found->lease == 0 ||
	    strcmp(buf_text(&found->owner), op->owner) != 0)
		return STORE_APPLIED;
	op->ret_done = 1;
	if (found->version == 0)
		return delete (sq, op, err) == -1 ? STORE_APPLIED_FAILED
						  : STORE_APPLIED;
	stmt = sq_get(&sq->conn, SQ_RECORD_RELEASE,
	    "UPDATE record SET owner = NULL, lease = NULL"
	    " WHERE integration = ? AND kind = ? AND key = ?",
	    err);
	if (stmt == NULL)
		return STORE_APPLIED_FAILED;
	bind_key(stmt, op);
	return sq_run(&sq->conn, stmt, err) == -1 ? STORE_APPLIED_FAILED
						  : STORE_APPLIED;
}

static enum store_applied
take(struct sq *sq, struct store_record *op, const struct found *found,
    struct err *err)
{
	op->ret_done = found->version > 0;
	if (found->row && delete (sq, op, err) == -1)
		return STORE_APPLIED_FAILED;
	return STORE_APPLIED;
}

enum store_applied
sq_record(struct sq *sq, struct store_record *op, struct err *err)
{
	enum store_applied applied = STORE_APPLIED;
	struct found found = {0};

	if (op->key.len == 0 || op->key.len > STORE_KEY_MAX)
		return sq_refuse(&op->op, ERR_TOO_LARGE,
		    "a key has 1 to %d bytes, not %zu", STORE_KEY_MAX,
		    op->key.len);
	if (look_up(sq, op, &found, err) == -1)
		applied = STORE_APPLIED_FAILED;
	else if (op->what == STORE_RECORD_PUT)
		applied = put(sq, op, &found, err);
	else if (op->what == STORE_RECORD_TAKE)
		applied = take(sq, op, &found, err);
	else if (op->what == STORE_RECORD_LEASE)
		applied = lease(sq, op, &found, err);
	else if (op->what == STORE_RECORD_RELEASE)
		applied = release(sq, op, &found, err);
	op->ret_found = found.version > 0;
	op->ret_version = found.version;
	if (found.sealed.len > 0) {
		op->ret_sealedlen = found.sealed.len;
		op->ret_sealed = buf_take(&found.sealed);
	}
	buf_free(&found.sealed);
	buf_free(&found.owner);
	return applied;
}

int
sq_record_expire(struct sq *sq, struct err *err)
{
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_RECORD_EXPIRED,
	    "DELETE FROM record WHERE expires <= ?", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, sq->now_ms);
	return sq_run(&sq->conn, stmt, err);
}
