#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#include "store/store_threads.h"

#define COMMIT_MAX 2048    /* Operations that share a commit. */
#define COMMIT_SOON_MS 2   /* What is seldom waits only so long for more... */
#define COMMIT_BURST 8     /* Commits in a row that need not wait. */
#define UPKEEP_BUDGET_MS 5 /* A slice of retention. */
#define UPKEEP_GAP_MS 20   /* Between two while operations wait. */
#define PROBE_MS 500       /* Between two attempts to write again. */

/* Whether it changes nothing, and so can be answered on a full disk. */
static int
only_reads(struct store_op *op)
{
	struct store_kv *kv;

	if (op->kind == STORE_OP_CLAIM)
		return 1;
	if (op->kind == STORE_OP_RECORD)
		return CONTAINER_OF(op, struct store_record, op)->what ==
		       STORE_RECORD_GET;
	if (op->kind != STORE_OP_KV)
		return 0;
	kv = CONTAINER_OF(op, struct store_kv, op);
	return kv->what == STORE_KV_GET || kv->what == STORE_KV_LIST;
}

/* Whether it changes rows that are nowhere else: it is committed at once. */
static int
is_urgent(struct store_op *op)
{
	if (op->kind == STORE_OP_APPEND)
		return CONTAINER_OF(op, struct store_append, op)->schedule !=
		       NULL;
	return op->kind != STORE_OP_FINISH && !only_reads(op);
}

/* Whether the log alone makes it durable. */
static int
is_logged(struct store_op *op)
{
	return op->kind == STORE_OP_APPEND && !is_urgent(op);
}

void
store_clear_results(struct store_op *op, int owned)
{
	struct store_claim *claim;
	struct store_replay *replay;
	struct store_discard *discard;
	struct store_kv *kv;
	struct store_list *list;
	struct store_get *get;
	struct store_present *present;
	struct store_invalid_page *page;
	struct store_record *record;
	char **json = NULL;

	if (op->kind == STORE_OP_CLAIM) {
		claim = CONTAINER_OF(op, struct store_claim, op);
		if (owned)
			store_claim_clear(claim);
		claim->ret_jobs = NULL;
		claim->ret_njobs = 0;
	} else if (op->kind == STORE_OP_KV) {
		kv = CONTAINER_OF(op, struct store_kv, op);
		kv->ret_jsonlen = 0;
		json = &kv->ret_json;
	} else if (op->kind == STORE_OP_RECORD) {
		record = CONTAINER_OF(op, struct store_record, op);
		record->ret_done = record->ret_found = 0;
		record->ret_version = record->ret_lease_ms = 0;
		record->ret_sealedlen = 0;
		json = &record->ret_sealed;
	} else if (op->kind == STORE_OP_REPLAY) {
		replay = CONTAINER_OF(op, struct store_replay, op);
		replay->at = replay->ret_count = replay->ret_jsonlen = 0;
		json = &replay->ret_json;
	} else if (op->kind == STORE_OP_LIST) {
		list = CONTAINER_OF(op, struct store_list, op);
		json = &list->ret_json;
	} else if (op->kind == STORE_OP_GET) {
		get = CONTAINER_OF(op, struct store_get, op);
		json = &get->ret_json;
	} else if (op->kind == STORE_OP_DISCARD) {
		discard = CONTAINER_OF(op, struct store_discard, op);
		discard->at = discard->ret_count = 0;
	} else if (op->kind == STORE_OP_PRESENT) {
		present = CONTAINER_OF(op, struct store_present, op);
		if (owned)
			store_present_clear(present);
		present->ret_gone = NULL;
		present->ret_ngone = 0;
	} else if (op->kind == STORE_OP_INVALID) {
		page = CONTAINER_OF(op, struct store_invalid_page, op);
		if (owned)
			store_invalid_clear(page);
		page->ret_deliveries = NULL;
		page->ret_n = page->ret_next = 0;
	}
	if (json != NULL && owned)
		free(*json);
	if (json != NULL)
		*json = NULL;
}

static void
fail(struct store *store, struct store_op *op, const struct err *err)
{
	store_clear_results(op, 1);
	op->rc = -1;
	op->err = *err;
	store_answer(store, op);
}

/* ---- commits --------------------------------------------------------------
 */

/* The disk refuses, or the database is damaged, which is no fault of those who
 * ask: look again in a while. */
static void
note_failure(struct store *store, struct err *err)
{
	uint64_t wait = store->commit_ms * 25;

	if (err->code == ERR_INVALID)
		err->code = ERR_UNAVAILABLE;
	if (err->code != ERR_UNAVAILABLE)
		return;
	atomic_store(&store->failed, 1);
	store->why = *err;
	store->probe_mono_ms =
	    clock_mono_ms() + (wait < PROBE_MS ? wait : PROBE_MS);
}

static void
end_transaction(struct store *store)
{
	store->open = 0;
	store->nopen = 0;
}

/* Give up the transaction; what its good groups have accepted and claimed is
 * done again in the next.  What was held for its commit is tried once more; if
 * the disk refuses again, it is refused. */
static void
roll_back(struct store *store, const struct err *err)
{
	struct store_op *op;

	store->engine->rollback(store->self);
	store->owed = 1;
	end_transaction(store);
	while (store->nheld > 0) {
		op = store->held[--store->nheld];
		if (err->code == ERR_UNAVAILABLE &&
		    atomic_load(&store->failed)) {
			fail(store, op, err);
			continue;
		}
		op->mail.next = store->first;
		if (store->first == NULL)
			store->last = &op->mail.next;
		store->first = &op->mail;
	}
}

/* Commit, and answer those who wait for it. */
static int
commit(struct store *store, struct err *err)
{
	int wrote = 0;

	if (store->engine->commit(store->self, &wrote, err) == -1) {
		store->stuck = 1;
		if (err->code == ERR_INVALID)
			err->code = ERR_UNAVAILABLE;
		roll_back(store, err);
		return -1;
	}
	end_transaction(store);
	store->owed = store->stuck = 0;
	if (wrote)
		atomic_store(&store->failed, 0);
	atomic_store(&store->unwritten, 0);
	store_answer_all(store, store->held, store->nheld);
	store->nheld = 0;
	return 0;
}

/* Commit all that there is, also what a failed transaction had done. */
static void
commit_now(struct store *store)
{
	struct err err = ERR_INIT;

	if (!store->open && !store->owed)
		return;
	if ((!store->open && store->engine->begin(store->self, &err) == -1) ||
	    commit(store, &err) == -1) {
		/* Whatever it is: it has to be tried again. */
		err.code = ERR_UNAVAILABLE;
		note_failure(store, &err);
	}
}

static void
hold(struct store *store, struct store_op *op)
{
	store->held = mem_grow(store->held, &store->held_cap, store->nheld + 1,
	    sizeof(*store->held));
	store->held[store->nheld++] = op;
}

/* ---- groups ---------------------------------------------------------------
 */

/*
 * Do a group; commit it if one of it is urgent, or if it writes while what came
 * before is still to be done again.  Return 0; -1 (err says why, and nothing
 * was done); or 1: what is logged was done, and nothing else.  ${partly} says
 * which need another turn, ${ret_committed} whether there is nothing to wait
 * for.
 */
static int
try_group(struct store *store, struct store_op **ops, size_t n, char *partly,
    int *ret_committed, struct err *err)
{
	int urgent = 0, rows = 0;
	uint64_t now;
	size_t i;

	*ret_committed = 0;
	if (store->engine->begin(store->self, err) == -1)
		return -1;
	if (!store->open) {
		now = clock_mono_ms();
		store->commit_mono_ms = now + store->commit_ms;
		store->soon_mono_ms =
		    store->patient ? UINT64_MAX : now + COMMIT_SOON_MS;
	}
	store->open = 1;
	for (i = 0; i < n; i++) {
		store_fault("group: before an operation");
		ops[i]->rc = 0;
		ops[i]->err.code = ERR_NONE;
		urgent |=
		    is_urgent(ops[i]) || (store->owed && !only_reads(ops[i]));
		switch (store->engine->apply(store->self, ops[i], err)) {
		case STORE_APPLIED:
			partly[i] = 0;
			break;
		case STORE_APPLIED_PARTLY:
			partly[i] = 1;
			break;
		case STORE_APPLIED_FAILED:
			roll_back(store, err);
			return -1;
		}
	}
	if (store->engine->sync(store->self, !urgent, &rows, err) == -1) {
		roll_back(store, err);
		return -1;
	}
	store->nopen += n;
	if (rows)
		atomic_store(&store->unwritten, 1);
	*ret_committed = urgent;
	return urgent && commit(store, err) == -1 ? 1 : 0;
}

/* A group was done, and ops[i] with it: see that it is answered. */
static void
settle(struct store *store, struct store_op **ops, size_t n, const char *partly,
    int committed)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (partly[i])
			store->partly[store->npartly++] = ops[i];
		else if (!committed && ops[i]->kind == STORE_OP_FINISH)
			hold(store, ops[i]);
		else
			continue;
		ops[i] = NULL;
	}
	store_answer_all(store, ops, n);
}

/* An operation of a group that was not done: try it alone, or refuse it. */
static void
run_alone(struct store *store, struct store_op *op, const struct err *why)
{
	struct err err = ERR_INIT;
	int committed;
	char partly;

	if (why->code == ERR_UNAVAILABLE && !only_reads(op)) {
		fail(store, op, why);
		return;
	}
	store_clear_results(op, 1);
	switch (try_group(store, &op, 1, &partly, &committed, &err)) {
	case -1:
		fail(store, op, &err);
		break;
	case 0:
		settle(store, &op, 1, &partly, committed);
		break;
	default:
		if (is_logged(op))
			store_answer(store, op);
		else
			fail(store, op, &err);
	}
}

/* While rows cannot be written the log alone must not go on: it would take the
 * room that they need.  Returns how many were taken out of the group. */
static size_t
refuse_appends(struct store *store, struct store_op **ops, size_t n)
{
	size_t i, left = 0;

	if (!store->stuck || !atomic_load(&store->failed))
		return 0;
	for (i = 0; i < n; i++) {
		if (ops[i]->kind == STORE_OP_APPEND)
			fail(store, ops[i], &store->why);
		else
			ops[left++] = ops[i];
	}
	return n - left;
}

/* Do a group, and answer it. */
static void
run_group(struct store *store, struct store_op **ops, size_t n)
{
	struct err err = ERR_INIT;
	char partly[STORE_GROUP_MAX];
	int rc, committed;
	size_t i;

	n -= refuse_appends(store, ops, n);
	if (n == 0)
		return;
	rc = try_group(store, ops, n, partly, &committed, &err);
	if (rc == 0) {
		store_fault("group: done");
		settle(store, ops, n, partly, committed);
		return;
	}
	note_failure(store, &err);
	for (i = 0; i < n; i++) {
		if (rc == 1 && is_logged(ops[i]))
			store_answer(store, ops[i]);
		else
			run_alone(store, ops[i], &err);
	}
}

/* ---- the thread -----------------------------------------------------------
 */

/* Take what came in.  Return 1 if that is the end. */
static int
take_mail(struct store *store)
{
	struct mail *mail = mailbox_take(store->to_writer), *next;
	int stop = 0;

	for (; mail != NULL; mail = next) {
		next = mail->next;
		if (mail == &store->stop_writer) {
			stop = 1;
			continue;
		}
		mail->next = NULL;
		*store->last = mail;
		store->last = &mail->next;
	}
	return stop;
}

static struct store_op *
take_first(struct store *store)
{
	struct store_op *op = store_op_of(store->first);

	store->first = store->first->next;
	if (store->first == NULL)
		store->last = &store->first;
	return op;
}

/* The next group: first what needs another turn, then in order of arrival, up
 * to what is to be read. */
static size_t
next_group(struct store *store, struct store_op **ops)
{
	size_t n = store->npartly;

	if (n > 0)
		(void)memcpy(ops, store->partly, n * sizeof(struct store_op *));
	store->npartly = 0;
	while (n < STORE_GROUP_MAX && store->first != NULL &&
	       !store_is_read(store_op_of(store->first)))
		ops[n++] = take_first(store);
	return n;
}

/* Hand on what is to be read, once all before it can be seen. */
static size_t
hand_on(struct store *store)
{
	size_t n = 0;

	if (store->first != NULL && store_is_read(store_op_of(store->first)))
		commit_now(store);
	/* If that fails, what was held for it comes first. */
	while (
	    store->first != NULL && store_is_read(store_op_of(store->first))) {
		mailbox_put(store->to_reader, &take_first(store)->mail);
		n++;
	}
	return n;
}

/* Try whether writing works again. */
static void
probe(struct store *store)
{
	struct err err = ERR_INIT;

	if (store->engine->probe(store->self, &err) == 0)
		(void)commit(store, &err);
	else
		roll_back(store, &err);
	if (atomic_load(&store->failed)) {
		/* Whatever it is: it has to be tried again. */
		err.code = ERR_UNAVAILABLE;
		note_failure(store, &err);
	}
}

/* Whether to commit now. */
static int
is_due(struct store *store, uint64_t now_mono_ms)
{
	if (now_mono_ms >= store->commit_mono_ms || store->nopen >= COMMIT_MAX)
		return 1;
	if (now_mono_ms < store->soon_mono_ms ||
	    (store->nheld == 0 && !atomic_load(&store->unwritten)))
		return 0;
	/* Once a transaction is asked. */
	store->soon_mono_ms = UINT64_MAX;
	return bucket_take(
	    &store->soon, 1000.0 / (double)store->commit_ms, COMMIT_BURST);
}

/* Work that nobody waits for.  Return for how many ms there is none. */
static int
background(struct store *store, int busy)
{
	uint64_t now = clock_mono_ms(), due, wait;

	if (store->open && (is_due(store, now) || now >= store->upkeep_mono_ms))
		commit_now(store);
	if (store->owed && !atomic_load(&store->failed))
		commit_now(store);
	if (atomic_load(&store->failed)) {
		if (now >= store->probe_mono_ms)
			probe(store);
		if (atomic_load(&store->failed))
			return (int)(store->probe_mono_ms - now) + 1;
	}
	if (now >= store->upkeep_mono_ms) {
		wait = store->engine->upkeep(store->self, UPKEEP_BUDGET_MS);
		if (busy && wait < UPKEEP_GAP_MS)
			wait = UPKEEP_GAP_MS;
		now = clock_mono_ms();
		store->upkeep_mono_ms = now + wait;
	}
	due = store->upkeep_mono_ms;
	if (store->open && store->commit_mono_ms < due)
		due = store->commit_mono_ms;
	if (store->open && store->soon_mono_ms < due)
		due = store->soon_mono_ms;
	return due > now ? (int)(due - now) : 0;
}

void *
store_writer_main(void *cookie)
{
	struct store_op *ops[STORE_GROUP_MAX];
	struct store *store = cookie;
	int stop = 0, idle_ms = 0;
	size_t n;

	for (;;) {
		stop |= take_mail(store);
		n = next_group(store, ops);
		if (n > 0)
			run_group(store, ops, n);
		n += hand_on(store);
		if (n == 0 && stop) {
			commit_now(store);
			if (store->first == NULL)
				break;
		}
		idle_ms = stop ? 0 : background(store, n > 0);
		if (n == 0 && idle_ms > 0 && store->first == NULL)
			mailbox_wait(store->to_writer, idle_ms);
	}
	return NULL;
}
