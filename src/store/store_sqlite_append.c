#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#include "store/checksum.h"
#include "store/store_sqlite_internal.h"

#define ROW_BYTES 300 /* About what the rows of a delivery take. */

uint64_t
sq_order_hash(uint64_t script, struct str key)
{
	/* Salted: a slow script does not hold up the others. */
	return key.len == 0 ? 0 : checksum_hash(key, script << 8 | 4);
}

int
sq_waiting_state(const struct sq *sq, uint64_t order_hash)
{
	if (order_hash != 0 && (running_has_key(sq->running, order_hash) ||
				   keys_holders(sq->keys, order_hash) > 0 ||
				   keys_blocked(sq->keys, order_hash) > 0))
		return SQ_BLOCKED;
	return STORE_PENDING;
}

int
sq_new_job(struct sq *sq, uint64_t delivery, unsigned int n,
    const struct store_new_job *job, const char *integration, struct err *err)
{
	struct sq_script *sc;
	sqlite3_stmt *stmt;
	uint64_t hash, id = delivery << SQ_JOB_BITS | n;
	int state;

	sc = sq_script(sq, integration, job->script, 1, err);
	if (sc == NULL)
		return -1;
	hash = sq_order_hash(sc->id, job->order_key);
	state = sq_waiting_state(sq, hash);
	stmt = sq_get(&sq->conn, SQ_JOB_ADD,
	    "INSERT INTO job (id, script, handler, state, due, attempts, runs,"
	    " has_steps, blocked, order_key)"
	    " VALUES (?, ?, ?, ?, ?, 0, 0, 0, ?, ?)",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, id);
	sq_bind(stmt, 2, sc->id);
	sq_bind_text(stmt, 3, job->handler);
	sq_bind(stmt, 4, (uint64_t)state);
	if (state == SQ_BLOCKED)
		(void)sqlite3_bind_null(stmt, 5);
	else
		sq_bind(stmt, 5, 0);
	sq_bind_opt(stmt, 6, state == SQ_BLOCKED ? hash : 0);
	sq_bind_blob(stmt, 7, job->order_key);
	if (sq_run(&sq->conn, stmt, err) == -1)
		return -1;
	sq_job_moved(sq, sc, hash, -1, state);
	if (state == STORE_PENDING)
		sq_due(sc, id);
	return 0;
}

/* The delivery's own row. */
static int
add_delivery(struct sq *sq, const struct store_append *op, uint64_t id,
    const struct segment_ref *ref, struct err *err)
{
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_DELIVERY_ADD,
	    "INSERT INTO delivery (id, state, integration, channel, resource,"
	    " action, request_id, idempotency_key, repeats, received, file,"
	    " offset, len, size, pointer, message)"
	    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, id);
	sq_bind_opt(
	    stmt, 2, op->state == STORE_PENDING ? 0 : (uint64_t)op->state);
	sq_bind_text(stmt, 3, op->integration);
	sq_bind_text(stmt, 4, op->channel);
	sq_bind_text(stmt, 5, op->resource);
	sq_bind_text(stmt, 6, op->action);
	sq_bind_text(stmt, 7, op->request_id);
	sq_bind_text(stmt, 8, op->idempotency_key);
	sq_bind_opt(stmt, 9, op->ret_repeats);
	sq_bind(stmt, 10, op->received_unix_ms);
	sq_bind(stmt, 11, ref->file);
	sq_bind(stmt, 12, ref->offset);
	sq_bind(stmt, 13, ref->len);
	sq_bind(stmt, 14, op->body.len);
	sq_bind_text(stmt, 15, op->violation_pointer);
	sq_bind_text(stmt, 16, op->violation_message);
	return sq_run(&sq->conn, stmt, err);
}

int
sq_insert(struct sq *sq, const struct store_append *op, uint64_t id,
    const struct segment_ref *ref, struct seen_entry *entry, struct err *err)
{
	size_t i;

	if (sq_count_record(sq, ref, err) == -1 ||
	    add_delivery(sq, op, id, ref, err) == -1)
		return -1;
	sq->next_id = id + 1;
	sq->grown_bytes += ref->len + ROW_BYTES;
	sq_tally(sq, NULL, -1, STORE_PENDING);
	if (op->state != STORE_PENDING)
		sq_tally(sq, NULL, -1, (int)op->state);
	for (i = 0; i < op->njobs; i++) {
		if (sq_new_job(sq, id, (unsigned int)i, &op->jobs[i],
			op->integration, err) == -1)
			return -1;
	}
	if (entry->key[0] != 0 || entry->signature != 0) {
		entry->id = id;
		seen_add(sq->seen, entry);
		sq->entries = mem_grow(sq->entries, &sq->entries_cap,
		    sq->nentries + 1, sizeof(*sq->entries));
		sq->entries[sq->nentries++] = *entry;
	}
	return 0;
}

/* What cannot be kept; 0 if it can. */
static int
is_bad(const struct store_append *op)
{
	if (op->state == STORE_PENDING)
		return op->njobs == 0 || op->njobs > SQ_JOBS_MAX;
	return (op->state != STORE_INVALID && op->state != STORE_UNHANDLED) ||
	       op->njobs != 0;
}

enum store_applied
sq_append(struct sq *sq, struct store_append *op, struct err *err)
{
	struct segment_record record;
	struct seen_entry entry;
	struct segment_ref ref;
	uint64_t id, before;
	int rc;

	op->ret_id = 0;
	op->ret_duplicate = 0;
	op->ret_repeats = 0;
	op->ret_last_unix_s = op->due_unix_s;
	op->ret_busy = 0;
	if (is_bad(op))
		return sq_refuse(&op->op, ERR_INVALID,
		    "a %s delivery cannot have %zu jobs",
		    store_state_name(op->state), op->njobs);
	if (op->body.len > INT_MAX || op->headers_json.len > INT_MAX ||
	    op->warnings_json.len > INT_MAX)
		return sq_refuse(
		    &op->op, ERR_TOO_LARGE, "the delivery is too large");

	entry = seen_hash(op->dedupe_key, op->signature);
	before = seen_by_key(sq->seen, &entry);
	if (before != 0) {
		op->ret_id = before;
		op->ret_duplicate = 1;
		return STORE_APPLIED;
	}
	if (sq_is_full(sq))
		return sq_refuse(&op->op, ERR_UNAVAILABLE,
		    "the store is full (%llu bytes) and all that is in it is "
		    "still to be done: raise --store-max-bytes, or resume or "
		    "discard the scripts that wait",
		    (unsigned long long)sq->used_bytes);
	if (op->schedule != NULL) {
		rc = sq_schedule_take(sq, op, err);
		if (rc == -1)
			return STORE_APPLIED_FAILED;
		if (rc == 0) {
			op->ret_duplicate = 1;
			return STORE_APPLIED;
		}
	}

	if (sq->next_id > SQ_ID_MAX)
		return sq_refuse(&op->op, ERR_UNAVAILABLE,
		    "there are no more ids for deliveries: begin with another "
		    "data folder");

	id = sq->next_id;
	op->ret_repeats = seen_by_signature(sq->seen, &entry);
	record = (struct segment_record){op->headers_json, op->warnings_json,
	    op->body, sq_row_pack(op, &entry), NULL};
	if (segment_put(sq->segment, id, &record, &ref, err) == -1) {
		free((char *)(uintptr_t)record.row.data);
		return STORE_APPLIED_FAILED;
	}
	/* The segment reads the row until it is synced. */
	sq_redo_append(sq, op->schedule == NULL ? SQ_REDO_APPEND : SQ_REDO_DUE,
	    id, &ref, record.row);
	if (sq_insert(sq, op, id, &ref, &entry, err) == -1)
		return STORE_APPLIED_FAILED;
	if (sq->max_bytes > 0 && sq->grown_bytes > sq->max_bytes / 64)
		store_upkeep_soon(sq->store);
	op->ret_id = id;
	return STORE_APPLIED;
}
