#ifndef DISPATCH_DECIDE_H_
#define DISPATCH_DECIDE_H_

/*
 * The decisions of the dispatcher, as functions of numbers alone.
 *
 * Floor: 5 (dispatch).  May include base/, script/, store/.
 */

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "wire/proto.h"

/* So many failed jobs one after the other, and only one is tried at a time. */
#define DECIDE_THROTTLE_AFTER 20

/* So many killed workers one after the other, and the script is parked. */
#define DECIDE_PARK_AFTER 3

/* A script cannot ask for a later retry than that. */
#define DECIDE_AFTER_MAX_MS (30ULL * 24 * 3600 * 1000)

struct decide_retry {
	unsigned int attempts; /* Then a job is dead. */
	uint64_t base_ms;
	uint64_t max_ms;
};

/**
 * decide_backoff(retry, attempt, random):
 * How long to wait after attempt number ${attempt} (from 1) has failed: the
 * base, doubled each time, up to the maximum; of that between half and all, as
 * ${random} (any number) says.
 *
 * Units:     milliseconds.
 */
uint64_t decide_backoff(
    const struct decide_retry *retry, unsigned int attempt, uint32_t random);

/**
 * decide_after(retry, attempt, result, after_ms, random, ret_wait_ms):
 * What becomes of a job whose attempt ended with ${result} (not PROTO_GONE).
 *
 * Units:     ${after_ms}: what event:retry asked for, UINT64_MAX if nothing.
 * Returns:   DONE, DROPPED, DEAD, or RETRYING after *${ret_wait_ms}.
 */
enum store_state decide_after(const struct decide_retry *retry,
    unsigned int attempt, enum proto_result result, uint64_t after_ms,
    uint32_t random, uint64_t *ret_wait_ms);

/**
 * decide_slots(concurrency, running, failures):
 * How many more jobs of a script may be started while ${running} are, after
 * ${failures} have failed one after the other.
 */
unsigned int decide_slots(
    unsigned int concurrency, unsigned int running, unsigned int failures);

/**
 * decide_place(loads, n):
 * Where the next one goes: the index of the smallest of ${n} numbers, the first
 * of several.
 */
size_t decide_place(const unsigned int *loads, size_t n);

/**
 * decide_stuck(waited_ms, used_ms, cpu_limit_ms):
 * Whether a worker that has not answered for ${waited_ms}, and has used
 * ${used_ms} of CPU meanwhile, is beyond hope.  One that got little of a busy
 * machine is given more time.
 */
int decide_stuck(uint64_t waited_ms, uint64_t used_ms, uint64_t cpu_limit_ms);

#endif /* !DISPATCH_DECIDE_H_ */
