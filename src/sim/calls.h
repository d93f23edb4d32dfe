#ifndef SIM_CALLS_H_
#define SIM_CALLS_H_

/*
 * What the stand-in remembers of the requests that came in and went out, for
 * GET /sim/calls.
 *
 * Floor: 5 (sim).  May include base/, json/.
 */

#include <stddef.h>
#include <stdint.h>

struct buf;
struct calls;

/* Older ones are forgotten. */
#define CALLS_MAX 2000

/* Ownership: the caller frees with calls_free(). */
struct calls *calls_create(void);
void calls_free(struct calls *calls);

/**
 * calls_add(calls, json):
 * Remember one call: the members of an object, without its braces.
 *
 * Returns:   its number, from 1; it is put before the members as "n".
 * Ownership: borrows ${json}, and empties it.
 */
uint64_t calls_add(struct calls *calls, struct buf *json);

/* Append {"calls":[...]}, those behind number ${after}, the oldest first. */
void calls_put(const struct calls *calls, uint64_t after, struct buf *out);

/* Forget all; the numbers go on. */
void calls_clear(struct calls *calls);

#endif /* !SIM_CALLS_H_ */
