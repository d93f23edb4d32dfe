#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"

#include "store/store_sqlite_internal.h"

#define ROW_VERSION 1
#define ROW_BYTES 384 /* Mostly enough for one. */

/* ---- a delivery's rows as bytes --------------------------------------------
 */

/* With its NUL, so that it can be used where it lies. */
static void
put_text(struct buf *b, const char *s)
{
	pack_str(b, (struct str){s, s == NULL ? 0 : strlen(s) + 1});
}

static const char *
take_text(struct unpack *u)
{
	struct str s = unpack_str(u);

	if (s.data != NULL && (s.len == 0 || s.data[s.len - 1] != '\0'))
		u->failed = 1;
	return s.data;
}

struct str
sq_row_pack(const struct store_append *op, const struct seen_entry *entry)
{
	struct buf b = BUF_INIT;
	size_t i;

	(void)buf_reserve(&b, ROW_BYTES);
	pack_u64(&b, ROW_VERSION);
	pack_u64(&b, op->schedule != NULL);
	pack_u64(&b, (uint64_t)op->state);
	pack_u64(&b, op->received_unix_ms);
	pack_u64(&b, op->ret_repeats);
	pack_u64(&b, entry->key[0]);
	pack_u64(&b, entry->key[1]);
	pack_u64(&b, entry->signature);
	pack_u64(&b, op->body.len);
	put_text(&b, op->integration);
	put_text(&b, op->channel);
	put_text(&b, op->resource);
	put_text(&b, op->action);
	put_text(&b, op->request_id);
	put_text(&b, op->idempotency_key);
	put_text(&b, op->violation_pointer);
	put_text(&b, op->violation_message);
	pack_u64(&b, op->njobs);
	for (i = 0; i < op->njobs; i++) {
		put_text(&b, op->jobs[i].script);
		put_text(&b, op->jobs[i].handler);
		pack_str(&b, op->jobs[i].order_key);
	}
	return (struct str){b.data, b.len};
}

/* Fill in ${op}, whose texts point into ${row}.  Returns its jobs, which the
 * caller frees with free(), or NULL: it is not what this version writes. */
static struct store_new_job *
unpack(struct str row, struct store_append *op, struct seen_entry *entry)
{
	struct unpack u = unpack_begin(row);
	struct store_new_job *jobs = NULL;
	size_t i;

	if (unpack_u64(&u) != ROW_VERSION)
		return NULL;
	op->schedule = unpack_u64(&u) == 0 ? NULL : "";
	op->state = (enum store_state)unpack_u64(&u);
	op->received_unix_ms = unpack_u64(&u);
	op->ret_repeats = unpack_u64(&u);
	entry->key[0] = unpack_u64(&u);
	entry->key[1] = unpack_u64(&u);
	entry->signature = unpack_u64(&u);
	op->body.len = unpack_u64(&u);
	op->integration = take_text(&u);
	op->channel = take_text(&u);
	op->resource = take_text(&u);
	op->action = take_text(&u);
	op->request_id = take_text(&u);
	op->idempotency_key = take_text(&u);
	op->violation_pointer = take_text(&u);
	op->violation_message = take_text(&u);
	op->njobs = unpack_u64(&u);
	if (op->njobs > SQ_JOBS_MAX || op->integration == NULL)
		return NULL;
	jobs = mem_array(op->njobs + 1, sizeof(*jobs));
	for (i = 0; i < op->njobs; i++) {
		jobs[i].script = take_text(&u);
		jobs[i].handler = take_text(&u);
		jobs[i].order_key = unpack_str(&u);
		if (jobs[i].script == NULL || jobs[i].handler == NULL)
			u.failed = 1;
	}
	op->jobs = jobs;
	if (unpack_end(&u) == 0)
		return jobs;
	free(jobs);
	return NULL;
}

/* Make the rows of a delivery.  With ${again} it may be one that was given up
 * and came again: then it has them already. */
static int
make_rows(struct sq *sq, uint64_t id, const struct segment_ref *ref,
    struct str row, int again, struct err *err)
{
	struct seen_entry entry = {0};
	struct store_append op = {0};
	struct store_new_job *jobs;
	int rc = 0;

	jobs = unpack(row, &op, &entry);
	if (jobs == NULL)
		return err_set(err, ERR_INVALID,
		    "delivery %llu was written by another version of "
		    "moonpost: start that one once more",
		    (unsigned long long)id);
	/* The time of a schedule is in a row alone: it comes again. */
	if (!again ||
	    (op.schedule == NULL && seen_by_key(sq->seen, &entry) == 0))
		rc = sq_insert(sq, &op, id, ref, &entry, err);
	free(jobs);
	return rc;
}

/* ---- what was answered for -------------------------------------------------
 */

static struct sq_redo *
note(struct sq *sq, enum sq_redo_kind kind)
{
	struct sq_redo *redo;

	sq->redo =
	    mem_grow(sq->redo, &sq->redo_cap, sq->nredo + 1, sizeof(*sq->redo));
	redo = &sq->redo[sq->nredo++];
	(void)memset(redo, 0, sizeof(*redo));
	redo->kind = kind;
	return redo;
}

void
sq_redo_append(struct sq *sq, enum sq_redo_kind kind, uint64_t id,
    const struct segment_ref *ref, struct str row)
{
	struct sq_redo *redo = note(sq, kind);

	redo->id = id;
	redo->ref = *ref;
	redo->row = row;
}

void
sq_redo_claim(struct sq *sq, const struct running_job *job)
{
	note(sq, SQ_REDO_CLAIM)->job = *job;
}

/* Keep those from ${from} on that are appends, or none. */
static void
cut(struct sq *sq, size_t from, int appends)
{
	size_t i, n = from;

	for (i = from; i < sq->nredo; i++) {
		if (appends && sq->redo[i].kind == SQ_REDO_APPEND)
			sq->redo[n++] = sq->redo[i];
		else
			free((char *)(uintptr_t)sq->redo[i].row.data);
	}
	sq->nredo = n;
}

void
sq_redo_keep(struct sq *sq, int all)
{
	if (!all)
		cut(sq, sq->nkept, 1);
	sq->nkept = sq->nredo;
}

void
sq_redo_drop(struct sq *sq)
{
	cut(sq, sq->nkept, 0);
}

void
sq_redo_clear(struct sq *sq)
{
	cut(sq, 0, 0);
	sq->nkept = 0;
}

int
sq_redo(struct sq *sq, struct err *err)
{
	const struct sq_redo *redo;
	size_t i;

	for (i = 0; i < sq->nkept; i++) {
		redo = &sq->redo[i];
		switch (redo->kind) {
		case SQ_REDO_APPEND:
			if (make_rows(sq, redo->id, &redo->ref, redo->row, 0,
				err) == -1)
				return -1;
			break;
		case SQ_REDO_DUE:
			break; /* Never kept: its group commits, or fails. */
		case SQ_REDO_CLAIM:
			if (sq_claim_again(sq, &redo->job, err) == -1)
				return -1;
			break;
		}
	}
	return 0;
}

/* ---- after a crash ---------------------------------------------------------
 */

/* What the tail has of one delivery. */
struct found {
	uint64_t id;
	struct segment_ref ref;
	struct str row; /* Owned. */
};

struct tail {
	uint64_t from; /* The first id without rows. */
	struct found *found;
	size_t n;
	size_t cap;
};

static void
found_one(void *cookie, uint64_t id, const struct segment_ref *ref,
    const struct segment_record *record)
{
	struct tail *tail = cookie;
	struct found *f;

	/* What has been dropped stays dropped, though its file be there. */
	if (id < tail->from || record->row.len == 0)
		return;
	/* An id comes again where the first was given up. */
	while (tail->n > 0 && tail->found[tail->n - 1].id >= id)
		free((char *)(uintptr_t)tail->found[--tail->n].row.data);
	tail->found = mem_grow(
	    tail->found, &tail->cap, tail->n + 1, sizeof(*tail->found));
	f = &tail->found[tail->n++];
	f->id = id;
	f->ref = *ref;
	f->row = (struct str){
	    mem_strndup(record->row.data, record->row.len), record->row.len};
}

int
sq_recover(struct sq *sq, const char *bodies, uint64_t file, uint64_t used,
    struct err *err)
{
	struct tail tail = {.from = sq->next_id};
	size_t i;
	int wrote, rc;

	rc = segment_tail(bodies, file, used, found_one, &tail, err);
	if (rc == 0 && tail.n > 0)
		rc = store_sqlite.begin(sq, err);
	for (i = 0; i < tail.n && rc == 0; i++)
		rc = make_rows(sq, tail.found[i].id, &tail.found[i].ref,
		    tail.found[i].row, 1, err);
	if (rc == 0 && tail.n > 0)
		rc = store_sqlite.commit(sq, &wrote, err);
	if (rc == -1 && sq->open)
		store_sqlite.rollback(sq);
	for (i = 0; i < tail.n; i++)
		free((char *)(uintptr_t)tail.found[i].row.data);
	free(tail.found);
	return rc;
}
