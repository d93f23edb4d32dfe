#ifndef STORE_STORE_INTERNAL_H_
#define STORE_STORE_INTERNAL_H_

/*
 * Between the store's threads (store.c) and an engine, which keeps the rows.
 * The writer thread (store_writer.c) calls begin, apply for each operation of a
 * group, sync and, at once or later, commit.  The reader thread calls read and
 * tend.  An engine that can be shared by several hosts has the same functions.
 *
 * Floor: 2 (store).  May include base/.
 */

#include "base/compiler.h"

#include "store/store.h"

struct store_slot;

/* What apply() says about an operation. */
enum store_applied {
	STORE_APPLIED,        /* op->rc and op->err are set. */
	STORE_APPLIED_PARTLY, /* More of it in the next group. */
	STORE_APPLIED_FAILED, /* The group must be rolled back: err. */
};

struct store_engine {
	/**
	 * Open it.  Errors are those of store_open().
	 */
	int (*open)(struct store *store, const struct store_options *options,
	    void **ret_self, struct err *err);
	void (*close)(void *self);

	/**
	 * A transaction is of one or more groups of operations.  begin() is
	 * called for each group; after sync() its deliveries are durable, by
	 * the log, and what it has claimed is, as all that was, not to be
	 * claimed again; *ret_rows says if there is anything to commit.  With
	 * ${all}, a later failure is the engine's own affair: it does in the
	 * next transaction what all groups so far have done, and whoever asked
	 * for a finish has to wait for the commit.  Else only the deliveries of
	 * this group are safe, and its other operations have failed if the
	 * commit, which follows at once, does.
	 *
	 * commit() makes all of it durable; *ret_wrote says if there was
	 * anything to write.  rollback() follows any of them that fails.
	 */
	int (*begin)(void *self, struct err *err);
	enum store_applied (*apply)(
	    void *self, struct store_op *op, struct err *err);
	int (*sync)(void *self, int all, int *ret_rows, struct err *err);
	int (*commit)(void *self, int *ret_wrote, struct err *err);
	void (*rollback)(void *self);

	/* After a failure: begin a transaction to try whether writing works
	 * again; it is to be committed. */
	int (*probe)(void *self, struct err *err);

	/**
	 * Retention and the like, in a transaction of its own, for about
	 * ${budget_ms}.  Returns after how many ms to call again; 0: there is
	 * more to do.
	 */
	uint64_t (*upkeep)(void *self, uint64_t budget_ms);

	/* The reader thread: an operation; and what is due after a nudge. */
	void (*read)(void *self, struct store_op *op);
	void (*tend)(void *self);
};

extern const struct store_engine store_sqlite;

/* Have the reader thread call tend() soon.  Thread: any. */
void store_nudge(struct store *store);

/* Have upkeep() called after this group.  Thread: the writer. */
void store_upkeep_soon(struct store *store);

/* Say how full it is, in percent of the cap, and whether appends are refused
 * until something was dropped.  Thread: the writer. */
void store_set_fill(struct store *store, unsigned int percent, int full);

/* What store_watch() tells about one script.  The texts are copied. */
struct store_slot *store_slot_create(
    struct store *store, const char *integration, const char *script);
void store_slot_free(struct store_slot *slot);
/* Jobs of the script became due.  Thread: the writer, after a commit. */
void store_slot_ready(struct store_slot *slot);

/* Tests set this, and are called at every step of the store's work. */
extern void (*store_fault_hook)(const char *point);

static inline void
store_fault(const char *point)
{
	if (UNLIKELY(store_fault_hook != NULL))
		store_fault_hook(point);
}

#endif /* !STORE_STORE_INTERNAL_H_ */
