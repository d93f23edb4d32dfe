#ifndef STORE_STORE_THREADS_H_
#define STORE_STORE_THREADS_H_

/*
 * What the store's threads share: store.c has what everybody calls and the
 * reader, store_writer.c the writer.
 *
 * Floor: 2 (store).  May include base/.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bucket.h"
#include "base/compiler.h"
#include "base/mailbox.h"

#include "store/store.h"
#include "store/store_internal.h"

#define STORE_GROUP_MAX 256 /* Operations of a group. */

struct store {
	const struct store_engine *engine;
	void *self; /* The engine's. */
	size_t queue_max;
	uint64_t commit_ms;
	int patient; /* Every commit waits so long. */

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
	atomic_int unwritten;  /* The reader does not see all yet. */
	atomic_int failed;     /* The last write did not go well. */
	atomic_int full;
	atomic_uint percent;

	struct mailbox *watch_box;
	store_ready_cb *watch_ready;
	void *watch_cookie;

	/* The writer's. */
	struct mail *first; /* Taken, not yet applied. */
	struct mail **last;
	struct store_op *partly[STORE_GROUP_MAX]; /* Go on in the next group. */
	size_t npartly;
	int open;                /* There is a transaction. */
	int owed;                /* One failed that is to be done again. */
	int stuck;               /* The last commit failed. */
	size_t nopen;            /* Operations in it. */
	uint64_t commit_mono_ms; /* When it is due. */
	struct store_op **held;  /* Applied to it, to be answered then. */
	size_t nheld;
	size_t held_cap;
	uint64_t soon_mono_ms;   /* When it may be, if such are seldom. */
	struct bucket soon;      /* Commits of that kind. */
	uint64_t upkeep_mono_ms; /* When the next slice is due. */
	uint64_t probe_mono_ms;
	struct err why; /* Of the last failure. */
};

static inline struct store_op *
store_op_of(struct mail *mail)
{
	return CONTAINER_OF(mail, struct store_op, mail);
}

/* Whether it is the reader's. */
static inline int
store_is_read(const struct store_op *op)
{
	return op->kind == STORE_OP_LIST || op->kind == STORE_OP_GET ||
	       op->kind == STORE_OP_COUNTS || op->kind == STORE_OP_INVALID;
}

/* Give an operation back to whoever asks. */
void store_answer(struct store *store, struct store_op *op);

/* The same for what of ${ops} is not NULL: each asker is woken once. */
void store_answer_all(struct store *store, struct store_op **ops, size_t n);

/* Make an operation's results empty; ${owned} frees what is there. */
void store_clear_results(struct store_op *op, int owned);

/* The writer thread; ${cookie} is the store. */
void *store_writer_main(void *cookie);

#endif /* !STORE_STORE_THREADS_H_ */
