#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#include "store/store_threads.h"

#define QUEUE_MAX 4096 /* Operations that may wait, by default. */
#define COMMIT_MS 20   /* How long rows may wait for their commit. */

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

static void
open_answer(struct mail *mail)
{
	struct store_op *op = store_op_of(mail);

	op->done(op);
}

void
store_answer(struct store *store, struct store_op *op)
{
	(void)atomic_fetch_sub(&store->waiting, 1);
	op->mail.open = open_answer;
	mailbox_put(op->reply_to, &op->mail);
}

void
store_answer_all(struct store *store, struct store_op **ops, size_t n)
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
				op = store_op_of(mail);
				op->rc = 0;
				op->err.code = ERR_NONE;
				store->engine->read(store->self, op);
				store_answer(store, op);
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
	store->commit_ms =
	    options->commit_ms == 0 ? COMMIT_MS : options->commit_ms;
	store->patient = options->commit_ms != 0;
	store->last = &store->first;
	store->to_writer = mailbox_create(store->queue_max);
	store->to_reader = mailbox_create(store->queue_max);
	store->nudge.open = open_nudge;
	if (store->engine->open(store, options, &store->self, err) == -1)
		goto out;
	if (pthread_create(&store->writer, NULL, store_writer_main, store) != 0)
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
	free(store->held);
	free(store);
}

/* Count an operation in, if there is room for it. */
static int
admit(struct store *store, struct store_op *op, struct err *err)
{
	if ((store_is_read(op) || op->kind == STORE_OP_APPEND) &&
	    atomic_load(&store->waiting) >= store->queue_max)
		return err_set(err, ERR_UNAVAILABLE,
		    "%zu operations wait for the disk already",
		    store->queue_max);
	store_clear_results(op, 0);
	(void)atomic_fetch_add(&store->waiting, 1);
	return 0;
}

int
store_submit(struct store *store, struct store_op *op, struct err *err)
{
	if (admit(store, op, err) == -1)
		return -1;
	/* What is to be read may not be committed yet: the writer knows. */
	mailbox_put(store_is_read(op) && !atomic_load(&store->unwritten)
			? store->to_reader
			: store->to_writer,
	    &op->mail);
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
