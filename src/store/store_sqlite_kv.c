#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "store/store_sqlite_internal.h"

#define EXPIRE_STEP 100 /* Values that go at once. */

/* What is there under a key. */
struct found {
	int there;
	struct buf value;
	uint64_t expires; /* 0: never. */
};

/* Look a key up; what has expired is not there, but has a row. */
static int
look_up(struct sq *sq, const struct store_kv *op, struct found *found,
    size_t *ret_bytes, struct err *err)
{
	sqlite3_stmt *stmt;
	struct str value;
	int rc;

	*ret_bytes = 0;
	stmt = sq_get(&sq->conn, SQ_KV_GET,
	    "SELECT value, expires FROM kv WHERE integration = ? AND key = ?",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind_text(stmt, 1, op->integration);
	(void)sqlite3_bind_blob64(
	    stmt, 2, op->key.data, op->key.len, SQLITE_STATIC);
	rc = sq_row(&sq->conn, stmt, err);
	if (rc == 1) {
		value = sq_blob(stmt, 0);
		found->expires = sq_u64(stmt, 1);
		found->there =
		    found->expires == 0 || found->expires > sq->now_ms;
		*ret_bytes = op->key.len + value.len;
		if (found->there)
			buf_put(&found->value, value.data, value.len);
		(void)sqlite3_reset(stmt);
	}
	return rc == -1 ? -1 : 0;
}

/* What an integration has. */
static int
size_of(struct sq *sq, const char *integration, uint64_t *ret, struct err *err)
{
	sqlite3_stmt *stmt;
	int rc;

	*ret = 0;
	stmt = sq_get(&sq->conn, SQ_KV_SIZE,
	    "SELECT bytes FROM kv_size WHERE integration = ?", err);
	if (stmt == NULL)
		return -1;
	sq_bind_text(stmt, 1, integration);
	rc = sq_row(&sq->conn, stmt, err);
	if (rc == 1)
		*ret = sq_u64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return rc == -1 ? -1 : 0;
}

static int
add_size(struct sq *sq, const char *integration, int64_t bytes, struct err *err)
{
	sqlite3_stmt *stmt;

	if (bytes == 0)
		return 0;
	stmt = sq_get(&sq->conn, SQ_KV_SIZE_ADD,
	    "INSERT INTO kv_size (integration, bytes) VALUES (?, ?)"
	    " ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind_text(stmt, 1, integration);
	(void)sqlite3_bind_int64(stmt, 2, bytes);
	return sq_run(&sq->conn, stmt, err);
}

static int
delete_key(struct sq *sq, const char *integration, struct str key, size_t bytes,
    struct err *err)
{
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_KV_DELETE,
	    "DELETE FROM kv WHERE integration = ? AND key = ?", err);
	if (stmt == NULL)
		return -1;
	sq_bind_text(stmt, 1, integration);
	(void)sqlite3_bind_blob64(stmt, 2, key.data, key.len, SQLITE_STATIC);
	if (sq_run(&sq->conn, stmt, err) == -1)
		return -1;
	return add_size(sq, integration, -(int64_t)bytes, err);
}

/* Delete what ${stmt} finds: integration, key, bytes.  Returns how many. */
static int
expire(struct sq *sq, sqlite3_stmt *stmt, struct err *err)
{
	struct {
		char *integration;
		char *key;
		size_t keylen;
		size_t bytes;
	} gone[EXPIRE_STEP];
	struct str key;
	int i, n = 0, rc;

	while ((rc = sq_row(&sq->conn, stmt, err)) == 1) {
		key = sq_blob(stmt, 1);
		gone[n].integration = mem_strdup(sq_text(stmt, 0));
		gone[n].key = mem_strndup(key.data, key.len);
		gone[n].keylen = key.len;
		gone[n++].bytes = sq_u64(stmt, 2);
	}
	for (i = 0; i < n; i++) {
		if (rc == 0)
			rc = delete_key(sq, gone[i].integration,
			    (struct str){gone[i].key, gone[i].keylen},
			    gone[i].bytes, err);
		free(gone[i].integration);
		free(gone[i].key);
	}
	return rc == -1 ? -1 : n;
}

int
sq_kv_expire(struct sq *sq, struct err *err)
{
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_KV_EXPIRED,
	    "SELECT integration, key, length(key) + length(value) FROM kv"
	    " WHERE expires <= ? LIMIT 100",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, sq->now_ms);
	return expire(sq, stmt, err);
}

/* Make room for an integration out of what has expired.  1: some of it went. */
static int
make_room(struct sq *sq, const char *integration, uint64_t wanted,
    uint64_t *size, struct err *err)
{
	sqlite3_stmt *stmt;
	int n = 0, gone = 0;

	do {
		gone |= n > 0;
		if (size_of(sq, integration, size, err) == -1)
			return -1;
		if (*size + wanted <= STORE_KV_MAX)
			return gone;
		stmt = sq_get(&sq->conn, SQ_KV_EXPIRED_OF,
		    "SELECT integration, key, length(key) + length(value)"
		    " FROM kv WHERE expires <= ? AND integration = ? LIMIT 100",
		    err);
		if (stmt == NULL)
			return -1;
		sq_bind(stmt, 1, sq->now_ms);
		sq_bind_text(stmt, 2, integration);
		n = expire(sq, stmt, err);
	} while (n > 0);
	return n == -1 ? -1 : gone;
}

/* Set a key.  ${old_bytes} are there now, in a row that may have expired. */
static enum store_applied
set_key(struct sq *sq, struct store_kv *op, struct str value, uint64_t expires,
    size_t old_bytes, struct err *err)
{
	size_t bytes = op->key.len + value.len;
	struct found again = {0, BUF_INIT, 0};
	sqlite3_stmt *stmt;
	uint64_t size;
	int rc;

	if (value.len > STORE_VALUE_MAX)
		return sq_refuse(&op->op, ERR_TOO_LARGE,
		    "the value has %zu bytes, at most %d are kept", value.len,
		    STORE_VALUE_MAX);
	if (bytes > old_bytes) {
		rc = make_room(
		    sq, op->integration, bytes - old_bytes, &size, err);
		/* The row itself may have been among the expired. */
		if (rc == 1) {
			rc = look_up(sq, op, &again, &old_bytes, err);
			buf_free(&again.value);
		}
		if (rc == -1)
			return STORE_APPLIED_FAILED;
		if (size + bytes - old_bytes > STORE_KV_MAX)
			return sq_refuse(&op->op, ERR_TOO_LARGE,
			    "kv of this integration is full (%u bytes)",
			    STORE_KV_MAX);
	}
	stmt = sq_get(&sq->conn, SQ_KV_SET,
	    "INSERT INTO kv (integration, key, value, expires)"
	    " VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
	    " SET value = excluded.value, expires = excluded.expires",
	    err);
	if (stmt == NULL)
		return STORE_APPLIED_FAILED;
	sq_bind_text(stmt, 1, op->integration);
	(void)sqlite3_bind_blob64(
	    stmt, 2, op->key.data, op->key.len, SQLITE_STATIC);
	(void)sqlite3_bind_blob64(
	    stmt, 3, value.data, value.len, SQLITE_STATIC);
	sq_bind_opt(stmt, 4, expires);
	if (sq_run(&sq->conn, stmt, err) == -1 ||
	    add_size(sq, op->integration, (int64_t)bytes - (int64_t)old_bytes,
		err) == -1)
		return STORE_APPLIED_FAILED;
	return STORE_APPLIED;
}

/* Read a JSON integer.  Return 0, or -1 if it is none, or beyond 64 bits. */
static int
parse_int(struct str s, int64_t *ret)
{
	int negative = s.len > 0 && s.data[0] == '-';
	struct str digits = {s.data + negative, s.len - (size_t)negative};
	uint64_t v;

	if (digits.len > 1 && digits.data[0] == '0')
		return -1;
	if (str_parse_u64(
		digits, (uint64_t)INT64_MAX + (uint64_t)negative, &v) == -1)
		return -1;
	*ret = negative ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

static enum store_applied
increment(struct sq *sq, struct store_kv *op, const struct found *found,
    size_t old_bytes, struct err *err)
{
	enum store_applied applied;
	int64_t n = 0;
	char text[24];

	if (found->there &&
	    parse_int((struct str){found->value.data, found->value.len}, &n) ==
		-1)
		return sq_refuse(&op->op, ERR_INVALID,
		    "the value of the key is not an integer");
	if (__builtin_add_overflow(n, op->by, &n))
		return sq_refuse(
		    &op->op, ERR_INVALID, "the sum does not fit into 64 bits");
	(void)snprintf(text, sizeof(text), "%lld", (long long)n);
	applied = set_key(sq, op, str_of(text),
	    found->there ? found->expires : 0, old_bytes, err);
	if (applied == STORE_APPLIED && op->op.rc == 0) {
		op->ret_json = mem_strdup(text);
		op->ret_jsonlen = strlen(text);
	}
	return applied;
}

/* The keys that begin with a prefix; SQLite compares blobs byte by byte. */
static enum store_applied
list_keys(struct sq *sq, struct store_kv *op, struct err *err)
{
	struct buf out = BUF_INIT;
	sqlite3_stmt *stmt;
	struct str key;
	int rc;

	stmt = sq_get(&sq->conn, SQ_KV_LIST,
	    "SELECT key FROM kv WHERE integration = ?1 AND key >= ?2"
	    " AND (expires IS NULL OR expires > ?3) ORDER BY key",
	    err);
	if (stmt == NULL)
		return STORE_APPLIED_FAILED;
	sq_bind_text(stmt, 1, op->integration);
	(void)sqlite3_bind_blob64(stmt, 2, op->key.len == 0 ? "" : op->key.data,
	    op->key.len, SQLITE_STATIC);
	sq_bind(stmt, 3, sq->now_ms);
	buf_putc(&out, '[');
	while ((rc = sq_row(&sq->conn, stmt, err)) == 1) {
		key = sq_blob(stmt, 0);
		if (key.len < op->key.len ||
		    (op->key.len > 0 &&
			memcmp(key.data, op->key.data, op->key.len) != 0))
			break;
		if (out.len > 1)
			buf_putc(&out, ',');
		str_put_json(&out, key);
		if (out.len > STORE_KV_LIST_MAX)
			break;
	}
	(void)sqlite3_reset(stmt);
	if (out.len > STORE_KV_LIST_MAX) {
		buf_free(&out);
		return sq_refuse(&op->op, ERR_TOO_LARGE,
		    "there are too many keys to list: use a longer prefix");
	}
	if (rc == -1) {
		buf_free(&out);
		return STORE_APPLIED_FAILED;
	}
	buf_putc(&out, ']');
	op->ret_found = out.len > 2;
	op->ret_jsonlen = out.len;
	op->ret_json = buf_take(&out);
	return STORE_APPLIED;
}

/* All but a list. */
static enum store_applied
one_key(struct sq *sq, struct store_kv *op, struct err *err)
{
	uint64_t expires = op->ttl_ms == 0 ? 0 : sq->now_ms + op->ttl_ms;
	enum store_applied applied = STORE_APPLIED;
	struct found found = {0, BUF_INIT, 0};
	size_t bytes;

	if (look_up(sq, op, &found, &bytes, err) == -1) {
		buf_free(&found.value);
		return STORE_APPLIED_FAILED;
	}
	op->ret_found = found.there;
	switch (op->what) {
	case STORE_KV_GET:
		if (!found.there)
			break;
		op->ret_jsonlen = found.value.len;
		op->ret_json = buf_take(&found.value);
		break;
	case STORE_KV_ADD:
		if (found.there)
			break;
		applied = set_key(sq, op, op->value_json, expires, bytes, err);
		break;
	case STORE_KV_SET:
		applied = set_key(sq, op, op->value_json, expires, bytes, err);
		break;
	case STORE_KV_INCR:
		applied = increment(sq, op, &found, bytes, err);
		break;
	case STORE_KV_DELETE:
		if (bytes > 0 &&
		    delete_key(sq, op->integration, op->key, bytes, err) == -1)
			applied = STORE_APPLIED_FAILED;
		break;
	case STORE_KV_LIST:
		break;
	}
	buf_free(&found.value);
	return applied;
}

enum store_applied
sq_kv(struct sq *sq, struct store_kv *op, struct err *err)
{
	op->ret_found = 0;
	if (op->key.len > STORE_KEY_MAX)
		return sq_refuse(&op->op, ERR_TOO_LARGE,
		    "the key has %zu bytes, at most %d are kept", op->key.len,
		    STORE_KEY_MAX);
	if (op->what == STORE_KV_LIST)
		return list_keys(sq, op, err);
	if (op->key.len == 0)
		return sq_refuse(&op->op, ERR_INVALID, "the key is empty");
	return one_key(sq, op, err);
}
