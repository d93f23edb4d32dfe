#include <string.h>

#include "sim/breaker.h"

int
breaker_is_closed(const struct breaker *breaker, uint64_t now_ms)
{
	return now_ms >= breaker->open_until_ms;
}

/* Empty the slices that have passed since the last one. */
static void
advance(struct breaker *breaker, uint64_t slice)
{
	if (slice - breaker->slice >= BREAKER_SLICES) {
		(void)memset(breaker->requests, 0, sizeof(breaker->requests));
		(void)memset(breaker->timeouts, 0, sizeof(breaker->timeouts));
		breaker->slice = slice;
	}
	while (breaker->slice < slice) {
		breaker->slice++;
		breaker->requests[breaker->slice % BREAKER_SLICES] = 0;
		breaker->timeouts[breaker->slice % BREAKER_SLICES] = 0;
	}
}

int
breaker_count(struct breaker *breaker, int timed_out, uint64_t now_ms)
{
	unsigned int requests = 0, timeouts = 0;
	size_t i;

	/* Multiplied, not divided: a slice may be less than a millisecond. */
	advance(breaker,
	    now_ms * breaker->scale / (BREAKER_WINDOW_MS / BREAKER_SLICES));
	breaker->requests[breaker->slice % BREAKER_SLICES]++;
	breaker->timeouts[breaker->slice % BREAKER_SLICES] += timed_out != 0;
	for (i = 0; i < BREAKER_SLICES; i++) {
		requests += breaker->requests[i];
		timeouts += breaker->timeouts[i];
	}
	if (requests < BREAKER_FLOOR || timeouts * 2 < requests)
		return 0;
	(void)memset(breaker->requests, 0, sizeof(breaker->requests));
	(void)memset(breaker->timeouts, 0, sizeof(breaker->timeouts));
	breaker->open_until_ms = now_ms + BREAKER_OPEN_MS / breaker->scale;
	return 1;
}
