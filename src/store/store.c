#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#include "store/store.h"
#include "store/store_internal.h"

#define QUEUE_MAX 4096     /* Operations that may wait, by default. */
#define GROUP_MAX 256      /* Operations that share a commit. */
#define UPKEEP_BUDGET_MS 5 /* A slice of retention. */
#define UPKEEP_GAP_MS 20   /* Between two while operations wait. */
#define PROBE_MS 500       /* Between two attempts to write again. */

struct store {
	const struct store_engine *engine;
	void *self; /* The engine's. */
	size_t queue_max;

	struct mailbox *to_writer;
	struct mailbox *to_reader;
	pthread_t writer;
	pthread_t reader;
	int writer_runs;
	int reader_runs;
	struct mail stop_writer;
	struct mail stop_reader;
	struct mail nudge;
	atomic_int nudged;
	atomic_size_t waiting; /* Submitted, not yet answered. */
	atomic_int failed;     /* The last write did not go well. */
	atomic_int full;
	atomic_uint percent;

	struct mailbox *watch_box;
	store_ready_cb *watch_ready;
	void *watch_cookie;

	/* The writer's. */
	struct mail *first; /* Taken, not yet applied. */
	struct mail **last;
	struct store_op *partly[GROUP_MAX]; /* Go on in the next group. */
	size_t npartly;
	uint64_t upkeep_mono_ms; /* When the next slice is due. */
	uint64_t probe_mono_ms;
};

/*
 * One for each script.  The letter may still be under way when the store is
 * closed, so it is freed by whoever lets go last.
 */
struct store_slot {
	struct mail mail;
	atomic_int refs;
	atomic_int posted;
	atomic_int closed;
	struct mailbox *box;
	store_ready_cb *ready;
	void *cookie;
	struct store *store;
	char *integration;
	char *script;
};

void (*store_fault_hook)(const char *point);

static const char *const state_names[] = {"pending", "running", "retrying",
    "done", "dropped", "dead", "invalid", "unhandled"};

const char *
store_state_name(enum store_state state)
{
	return state_names[state];
}

int
store_state_parse(const char *name, enum store_state *ret)
{
	size_t i;

	for (i = 0; i < NELEMS(state_names); i++) {
		if (strcmp(name, state_names[i]) == 0) {
			*ret = (enum store_state)i;
			return 0;
		}
	}
	return -1;
}

void
store_job_free(struct store_job *job)
{
	if (job == NULL)
		return;
	free(job->steps); /* Their texts are behind them. */
	free(job->memory);
	free(job);
}

void
store_claim_clear(struct store_claim *claim)
{
	size_t i;

	for (i = 0; i < claim->ret_njobs; i++)
		store_job_free(claim->ret_jobs[i]);
	free(claim->ret_jobs);
	claim->ret_jobs = NULL;
	claim->ret_njobs = 0;
}

void
store_present_clear(struct store_present *present)
{
	free(present->ret_gone); /* Its texts are behind it. */
	present->ret_gone = NULL;
	present->ret_ngone = 0;
}

void
store_invalid_clear(struct store_invalid_page *page)
{
	size_t i;

	for (i = 0; i < page->ret_n; i++) {
		free(page->ret_deliveries[i].integration);
		free(page->ret_deliveries[i].resource);
		free(page->ret_deliveries[i].memory);
	}
	free(page->ret_deliveries);
	page->ret_deliveries = NULL;
	page->ret_n = 0;
}

/* ---- answers and letters --------------------------------------------------
 */

static struct store_op *
op_of(struct mail *mail)
{
	return CONTAINER_OF(mail, struct store_op, mail);
}

static void
open_answer(struct mail *mail)
{
	struct store_op *op = op_of(mail);

	op->done(op);
}

static void
answer(struct store *store, struct store_op *op)
{
	(void)atomic_fetch_sub(&store->waiting, 1);
	op->mail.open = open_answer;
	mailbox_put(op->reply_to, &op->mail);
}

/* Answer what of ${ops} is not NULL: those who ask are woken once each. */
static void
answer_all(struct store *store, struct store_op **ops, size_t n)
{
	struct mailbox *box;
	struct mail *first, **last;
	size_t i, k, count;

	for (i = 0; i < n; i++) {
		if (ops[i] == NULL)
			continue;
		box = ops[i]->reply_to;
		last = &first;
		count = 0;
		for (k = i; k < n; k++) {
			if (ops[k] == NULL || ops[k]->reply_to != box)
				continue;
			ops[k]->mail.open = open_answer;
			*last = &ops[k]->mail;
			last = &ops[k]->mail.next;
			ops[k] = NULL;
			count++;
		}
		*last = NULL;
		(void)atomic_fetch_sub(&store->waiting, count);
		mailbox_put_all(box, first);
	}
}

static void
slot_unref(struct store_slot *slot)
{
	if (atomic_fetch_sub(&slot->refs, 1) != 1)
		return;
	free(slot->integration);
	free(slot->script);
	free(slot);
}

static void
open_slot(struct mail *mail)
{
	struct store_slot *slot = CONTAINER_OF(mail, struct store_slot, mail);

	/* Cleared first: what becomes due from here on is told again. */
	atomic_store(&slot->posted, 0);
	if (!atomic_load(&slot->closed))
		slot->ready(slot->cookie, slot->integration, slot->script);
	slot_unref(slot);
}

struct store_slot *
store_slot_create(
    struct store *store, const char *integration, const char *script)
{
	struct store_slot *slot = mem_zalloc(sizeof(*slot));

	atomic_store(&slot->refs, 1);
	slot->mail.open = open_slot;
	slot->store = store;
	slot->integration = mem_strdup(integration);
	slot->script = mem_strdup(script);
	return slot;
}

void
store_slot_free(struct store_slot *slot)
{
	if (slot == NULL)
		return;
	atomic_store(&slot->closed, 1);
	slot_unref(slot);
}

void
store_slot_ready(struct store_slot *slot)
{
	struct store *store = slot->store;

	if (store->watch_box == NULL || atomic_exchange(&slot->posted, 1))
		return;
	/* Once: whoever opens the letter looks at it while we post the next. */
	if (slot->ready == NULL) {
		slot->ready = store->watch_ready;
		slot->cookie = store->watch_cookie;
	}
	(void)atomic_fetch_add(&slot->refs, 1);
	mailbox_put(store->watch_box, &slot->mail);
}

void
store_upkeep_soon(struct store *store)
{
	store->upkeep_mono_ms = 0;
}

void
store_set_fill(struct store *store, unsigned int percent, int full)
{
	atomic_store(&store->percent, percent);
	atomic_store(&store->full, full);
}

/* ---- the writer ------------------------------------------------------------
 */

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

/*
 * Do a group in one transaction.  Return 0, -1 (err says why, and nothing was
 * done), and in ${partly} which operations need another turn.
 */
static int
try_group(struct store *store, struct store_op **ops, size_t n, char *partly,
    struct err *err)
{
	int wrote = 0;
	size_t i;

	if (store->engine->begin(store->self, err) == -1)
		return -1;
	for (i = 0; i < n; i++) {
		store_fault("group: before an operation");
		ops[i]->rc = 0;
		ops[i]->err.code = ERR_NONE;
		switch (store->engine->apply(store->self, ops[i], err)) {
		case STORE_APPLIED:
			partly[i] = 0;
			break;
		case STORE_APPLIED_PARTLY:
			partly[i] = 1;
			break;
		case STORE_APPLIED_FAILED:
			store->engine->rollback(store->self);
			return -1;
		}
	}
	if (store->engine->commit(store->self, &wrote, err) == -1) {
		store->engine->rollback(store->self);
		return -1;
	}
	if (wrote)
		atomic_store(&store->failed, 0);
	return 0;
}

static void
settle(struct store *store, struct store_op *op, char partly)
{
	if (partly)
		store->partly[store->npartly++] = op;
	else
		answer(store, op);
}

/* Make the results empty; ${owned} frees what is there. */
static void
clear_results(struct store_op *op, int owned)
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
	clear_results(op, 1);
	op->rc = -1;
	op->err = *err;
	answer(store, op);
}

/* Do a group, and answer it. */
static void
run_group(struct store *store, struct store_op **ops, size_t n)
{
	struct err err = ERR_INIT, alone;
	char partly[GROUP_MAX];
	size_t i;

	if (try_group(store, ops, n, partly, &err) == 0) {
		store_fault("group: committed");
		for (i = 0; i < n; i++) {
			if (!partly[i])
				continue;
			store->partly[store->npartly++] = ops[i];
			ops[i] = NULL;
		}
		answer_all(store, ops, n);
		return;
	}

	/* A damaged database is no fault of those who ask. */
	if (err.code == ERR_INVALID)
		err.code = ERR_UNAVAILABLE;

	/* The disk refuses writes: what only reads can still be answered.  Any
	 * other trouble may be of one operation: each for itself. */
	if (err.code == ERR_UNAVAILABLE) {
		atomic_store(&store->failed, 1);
		store->probe_mono_ms = clock_mono_ms() + PROBE_MS;
	}
	for (i = 0; i < n; i++) {
		if (err.code == ERR_UNAVAILABLE && !only_reads(ops[i])) {
			fail(store, ops[i], &err);
			continue;
		}
		alone = (struct err)ERR_INIT;
		clear_results(ops[i], 1);
		if (try_group(store, &ops[i], 1, partly, &alone) == 0)
			settle(store, ops[i], partly[0]);
		else
			fail(store, ops[i], &alone);
	}
}

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

/* The next group: first what needs another turn, then in order of arrival. */
static size_t
next_group(struct store *store, struct store_op **ops)
{
	size_t n = store->npartly;

	if (n > 0)
		(void)memcpy(ops, store->partly, n * sizeof(struct store_op *));
	store->npartly = 0;
	while (n < GROUP_MAX && store->first != NULL) {
		ops[n++] = op_of(store->first);
		store->first = store->first->next;
		if (store->first == NULL)
			store->last = &store->first;
	}
	return n;
}

/* Work that nobody waits for.  Return for how many ms there is none. */
static int
background(struct store *store, int busy)
{
	uint64_t now = clock_mono_ms(), wait;
	struct err err;

	if (atomic_load(&store->failed)) {
		if (now >= store->probe_mono_ms) {
			if (store->engine->probe(store->self, &err) == 0)
				atomic_store(&store->failed, 0);
			store->probe_mono_ms = now + PROBE_MS;
		}
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
	return (int)(store->upkeep_mono_ms - now);
}

static void *
writer_main(void *cookie)
{
	struct store_op *ops[GROUP_MAX];
	struct store *store = cookie;
	int stop = 0, idle_ms = 0;
	size_t n;

	for (;;) {
		stop |= take_mail(store);
		n = next_group(store, ops);
		if (n > 0)
			run_group(store, ops, n);
		else if (stop)
			break;
		if (!stop)
			idle_ms = background(store, n > 0);
		if (n == 0 && idle_ms > 0)
			mailbox_wait(store->to_writer, idle_ms);
	}
	return NULL;
}

/* ---- the reader ------------------------------------------------------------
 */

static void
open_nudge(struct mail *mail)
{
	struct store *store = CONTAINER_OF(mail, struct store, nudge);

	atomic_store(&store->nudged, 0);
	store->engine->tend(store->self);
}

void
store_nudge(struct store *store)
{
	if (!atomic_exchange(&store->nudged, 1))
		mailbox_put(store->to_reader, &store->nudge);
}

static void *
reader_main(void *cookie)
{
	struct store *store = cookie;
	struct mail *mail, *next;
	struct store_op *op;
	int stop = 0;

	while (!stop) {
		mailbox_wait(store->to_reader, -1);
		for (mail = mailbox_take(store->to_reader); mail != NULL;
		     mail = next) {
			next = mail->next;
			if (mail == &store->stop_reader) {
				stop = 1;
			} else if (mail == &store->nudge) {
				open_nudge(mail);
			} else {
				op = op_of(mail);
				op->rc = 0;
				op->err.code = ERR_NONE;
				store->engine->read(store->self, op);
				answer(store, op);
			}
		}
	}
	return NULL;
}

/* ---- for everybody ----------------------------------------------------------
 */

int
store_open(const struct store_options *options, struct store **ret_store,
    struct err *err)
{
	struct store *store = mem_zalloc(sizeof(*store));
	int rc = -1;

	store->engine = &store_sqlite;
	store->queue_max =
	    options->queue_max == 0 ? QUEUE_MAX : options->queue_max;
	store->last = &store->first;
	store->to_writer = mailbox_create(store->queue_max);
	store->to_reader = mailbox_create(store->queue_max);
	store->nudge.open = open_nudge;
	if (store->engine->open(store, options, &store->self, err) == -1)
		goto out;
	if (pthread_create(&store->writer, NULL, writer_main, store) != 0)
		goto no_thread;
	store->writer_runs = 1;
	if (pthread_create(&store->reader, NULL, reader_main, store) != 0)
		goto no_thread;
	store->reader_runs = 1;

	*ret_store = store;
	store = NULL;
	rc = 0;
	goto out;
no_thread:
	(void)err_set(
	    err, ERR_UNAVAILABLE, "cannot start a thread of the store");
out:
	store_close(store);
	return rc;
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	if (store->writer_runs) {
		mailbox_put(store->to_writer, &store->stop_writer);
		(void)pthread_join(store->writer, NULL);
	}
	if (store->reader_runs) {
		mailbox_put(store->to_reader, &store->stop_reader);
		(void)pthread_join(store->reader, NULL);
	}
	if (store->self != NULL)
		store->engine->close(store->self);
	mailbox_free(store->to_writer);
	mailbox_free(store->to_reader);
	free(store);
}

/* Whether it is the reader's. */
static int
is_read(const struct store_op *op)
{
	return op->kind == STORE_OP_LIST || op->kind == STORE_OP_GET ||
	       op->kind == STORE_OP_COUNTS || op->kind == STORE_OP_INVALID;
}

/* Count an operation in, if there is room for it. */
static int
admit(struct store *store, struct store_op *op, struct err *err)
{
	if ((is_read(op) || op->kind == STORE_OP_APPEND) &&
	    atomic_load(&store->waiting) >= store->queue_max)
		return err_set(err, ERR_UNAVAILABLE,
		    "%zu operations wait for the disk already",
		    store->queue_max);
	clear_results(op, 0);
	(void)atomic_fetch_add(&store->waiting, 1);
	return 0;
}

int
store_submit(struct store *store, struct store_op *op, struct err *err)
{
	if (admit(store, op, err) == -1)
		return -1;
	mailbox_put(
	    is_read(op) ? store->to_reader : store->to_writer, &op->mail);
	return 0;
}

int
store_collect(struct store *store, struct store_batch *batch,
    struct store_op *op, struct err *err)
{
	if (admit(store, op, err) == -1)
		return -1;
	op->mail.next = NULL;
	if (batch->first == NULL)
		batch->first = &op->mail;
	else
		batch->last->next = &op->mail;
	batch->last = &op->mail;
	return 0;
}

void
store_submit_all(struct store *store, struct store_batch *batch)
{
	struct mail *first = batch->first;

	batch->first = batch->last = NULL;
	if (first != NULL)
		mailbox_put_all(store->to_writer, first);
}

void
store_watch(struct store *store, struct mailbox *mailbox, store_ready_cb *ready,
    void *cookie)
{
	store->watch_box = mailbox;
	store->watch_ready = ready;
	store->watch_cookie = cookie;
}

int
store_usable(struct store *store)
{
	return !atomic_load(&store->failed) && !atomic_load(&store->full);
}

unsigned int
store_fill_percent(struct store *store)
{
	return atomic_load(&store->percent);
}
