#include "dispatch/decide.h"

/* What a worker may need beyond the limits of a slice. */
#define STUCK_MARGIN_MS 1000

/* A worker that does not answer and uses no CPU either: the machine is
 * overloaded, or it hangs in the kernel. */
#define STUCK_IDLE_FACTOR 10

uint64_t
decide_backoff(
    const struct decide_retry *retry, unsigned int attempt, uint32_t random)
{
	uint64_t wait = retry->base_ms;
	unsigned int i;

	for (i = 1; i < attempt && wait < retry->max_ms; i++)
		wait *= 2;
	if (wait > retry->max_ms)
		wait = retry->max_ms;
	return wait - random % (wait / 2 + 1);
}

enum store_state
decide_after(const struct decide_retry *retry, unsigned int attempt,
    enum proto_result result, uint64_t after_ms, uint32_t random,
    uint64_t *ret_wait_ms)
{
	if (result == PROTO_DONE)
		return STORE_DONE;
	if (result == PROTO_DROPPED)
		return STORE_DROPPED;
	if (attempt >= retry->attempts)
		return STORE_DEAD;
	if (result != PROTO_RETRY || after_ms == UINT64_MAX)
		*ret_wait_ms = decide_backoff(retry, attempt, random);
	else
		*ret_wait_ms = after_ms < DECIDE_AFTER_MAX_MS
				   ? after_ms
				   : DECIDE_AFTER_MAX_MS;
	return STORE_RETRYING;
}

unsigned int
decide_slots(
    unsigned int concurrency, unsigned int running, unsigned int failures)
{
	unsigned int most = failures >= DECIDE_THROTTLE_AFTER ? 1 : concurrency;

	return running < most ? most - running : 0;
}

size_t
decide_place(const unsigned int *loads, size_t n)
{
	size_t i, best = 0;

	for (i = 1; i < n; i++)
		if (loads[i] < loads[best])
			best = i;
	return best;
}

int
decide_stuck(uint64_t waited_ms, uint64_t used_ms, uint64_t cpu_limit_ms)
{
	uint64_t limit = cpu_limit_ms * 2 + STUCK_MARGIN_MS;

	return waited_ms > limit && (used_ms > cpu_limit_ms * 3 / 2 ||
					waited_ms > limit * STUCK_IDLE_FACTOR);
}
