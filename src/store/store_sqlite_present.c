#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#include "store/store_sqlite_internal.h"

#define PAGE 16

/* ---- which scripts are there -----------------------------------------------
 */

static int
is_present(const struct store_present *op, const struct sq_script *sc)
{
	size_t i;

	for (i = 0; i < op->nscripts; i++) {
		if (strcmp(op->scripts[i].script, sc->name) == 0 &&
		    strcmp(op->scripts[i].integration, sc->integration) == 0)
			return 1;
	}
	return 0;
}

/* Whether jobs of a script wait.  What is blocked waits for one that does. */
static int
has_waiting(struct sq *sq, const struct sq_script *sc, struct err *err)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = sq_get(&sq->conn, SQ_WAITING,
	    "SELECT 1 FROM job INDEXED BY job_due"
	    " WHERE script = ? AND due >= 0 LIMIT 1",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, sc->id);
	rc = sq_row(&sq->conn, stmt, err);
	(void)sqlite3_reset(stmt);
	return rc;
}

/* Note that a script is there, or since when it is not. */
static int
note(struct sq *sq, const struct sq_script *sc, int present, struct err *err)
{
	sqlite3_stmt *stmt;

	if (present)
		stmt = sq_get(&sq->conn, SQ_BACK,
		    "UPDATE script SET gone = NULL"
		    " WHERE id = ? AND gone IS NOT NULL",
		    err);
	else
		stmt = sq_get(&sq->conn, SQ_GONE,
		    "UPDATE script SET gone = ?2 WHERE id = ?1 AND gone IS "
		    "NULL",
		    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, sc->id);
	if (!present)
		sq_bind(stmt, 2, sq->now_ms);
	return sq_run(&sq->conn, stmt, err);
}

/* The names of those that are gone, in one piece with their texts. */
static struct store_script_name *
list_names(const struct sq_script *const *gone, size_t n)
{
	struct store_script_name *names;
	size_t i, bytes = 0, len;
	char *at;

	for (i = 0; i < n; i++)
		bytes += strlen(gone[i]->integration) + 1 +
			 strlen(gone[i]->name) + 1;
	names = mem_alloc(n * sizeof(*names) + bytes);
	at = (char *)(names + n);
	for (i = 0; i < n; i++) {
		len = strlen(gone[i]->integration) + 1;
		names[i].integration = memcpy(at, gone[i]->integration, len);
		at += len;
		len = strlen(gone[i]->name) + 1;
		names[i].script = memcpy(at, gone[i]->name, len);
		at += len;
	}
	return names;
}

enum store_applied
sq_present(struct sq *sq, struct store_present *op, struct err *err)
{
	const struct sq_script **gone =
	    mem_array(sq->nscripts + 1, sizeof(struct sq_script *));
	size_t n = 0, i;
	int rc = 0;

	for (i = 0; i < sq->nscripts && rc != -1; i++) {
		if (is_present(op, sq->scripts[i])) {
			rc = note(sq, sq->scripts[i], 1, err);
			continue;
		}
		rc = note(sq, sq->scripts[i], 0, err);
		if (rc == 0)
			rc = has_waiting(sq, sq->scripts[i], err);
		if (rc == 1)
			gone[n++] = sq->scripts[i];
	}
	if (rc != -1 && n > 0) {
		op->ret_gone = list_names(gone, n);
		op->ret_ngone = n;
	}
	free(gone);
	return rc == -1 ? STORE_APPLIED_FAILED : STORE_APPLIED;
}

/* ---- the quarantine ---------------------------------------------------------
 */

/* Put the delivery in a row into the page; nothing if it is damaged. */
static int
take_invalid(struct sq *sq, sqlite3_stmt *row, struct store_invalid_page *op,
    struct err *err)
{
	struct segment_ref ref = {
	    sq_u64(row, 3), sq_u64(row, 4), sq_u64(row, 5)};
	struct store_invalid *d = &op->ret_deliveries[op->ret_n];
	struct segment_record record;
	struct err why = ERR_INIT;

	d->id = sq_u64(row, 0);
	if (sq_read_body(&sq->rconn, sq->rbodies, d->id, &ref, &record, &why) ==
	    -1) {
		if (why.code == ERR_INVALID)
			return 0;
		*err = why;
		return -1;
	}
	d->integration = mem_strdup(sq_text(row, 1));
	d->resource = mem_strdup(sq_text(row, 2));
	d->body = record.body;
	d->memory = record.memory;
	op->ret_n++;
	return 0;
}

void
sq_invalid(struct sq *sq, struct store_invalid_page *op)
{
	struct err *err = &op->op.err;
	uint64_t last = 0;
	size_t max = op->max == 0 ? PAGE : op->max, seen = 0, bytes = 0;
	sqlite3_stmt *stmt;
	int rc;

	op->ret_n = 0;
	op->ret_next = 0;
	op->ret_deliveries = mem_array(max, sizeof(*op->ret_deliveries));
	stmt = sq_get(&sq->rconn, SQ_INVALID,
	    "SELECT id, integration, resource, file, offset, len FROM delivery"
	    " INDEXED BY delivery_odd WHERE state = 6 AND id > ?"
	    " AND pointer IS NOT NULL ORDER BY id",
	    err);
	if (stmt == NULL)
		goto failed;
	sq_bind(stmt, 1, op->after_id);
	while ((rc = sq_row(&sq->rconn, stmt, err)) == 1) {
		if (seen == max || bytes >= STORE_INVALID_BYTES) {
			op->ret_next = last;
			break;
		}
		last = sq_u64(stmt, 0);
		bytes += sq_u64(stmt, 5);
		seen++;
		if (take_invalid(sq, stmt, op, err) == -1) {
			rc = -1;
			break;
		}
	}
	(void)sqlite3_reset(stmt);
	if (rc != -1)
		return;
failed:
	op->op.rc = -1;
	store_invalid_clear(op);
}
