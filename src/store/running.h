#ifndef STORE_RUNNING_H_
#define STORE_RUNNING_H_

/*
 * The jobs that have been claimed.  They are known in memory alone: a claim
 * then costs no write, and what was running when a host died is pending in the
 * rows, as it has to be.
 *
 * Changes belong to a group of operations and can be undone with it.
 *
 * Floor: 2 (store).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

struct running;

struct running_job {
	uint64_t id;
	uint64_t script;
	uint64_t order_hash; /* 0: no ordering key. */
	unsigned int state;  /* In its row. */
	unsigned int attempts;
	unsigned int runs;
};

struct running *running_create(void);
void running_free(struct running *running);

/* Note a claimed job; it is copied.  Thread: the writer, as all but the last
 * two. */
void running_add(struct running *running, const struct running_job *job);

/**
 * running_find(running, id):
 * The job, or NULL if it is not running.
 *
 * Ownership: the table's, until running_remove() and the end of the group.
 */
struct running_job *running_find(struct running *running, uint64_t id);

/* It runs no more; the struct stays until the end of the group. */
void running_remove(struct running *running, uint64_t id);

/* Whether it ran, and its end may still be undone. */
int running_leaves(const struct running *running, uint64_t id);

/* Whether a job with this ordering key runs. */
int running_has_key(struct running *running, uint64_t order_hash);

/* The end of a group: keep its changes, or undo them. */
void running_commit(struct running *running);
void running_rollback(struct running *running);

/* Whether job ${id} runs.  Thread: any. */
int running_has(struct running *running, uint64_t id);

/**
 * running_count(running, script, state):
 * How many jobs of a script (0: of all) run whose row has ${state}.
 *
 * Thread:    any.
 */
uint64_t running_count(
    struct running *running, uint64_t script, unsigned int state);

/**
 * running_ids(running, ret_n):
 * The ids of all, in no order.
 *
 * Ownership: the caller frees with free().
 * Thread:    any.
 */
uint64_t *running_ids(struct running *running, size_t *ret_n);

#endif /* !STORE_RUNNING_H_ */
