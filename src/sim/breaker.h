#ifndef SIM_BREAKER_H_
#define SIM_BREAKER_H_

/*
 * Sentry's circuit breaker: where half of at least 500 deliveries of ten
 * minutes were hard timeouts, nothing is sent for five minutes.  No clock:
 * every call is told what time it is.
 *
 * Floor: 5 (sim).  May include base/.
 */

#include <stdint.h>

#define BREAKER_WINDOW_MS (10 * UINT64_C(60000))
#define BREAKER_OPEN_MS (5 * UINT64_C(60000))
#define BREAKER_FLOOR 500
#define BREAKER_SLICES 60

struct breaker {
	uint64_t scale; /* Times are divided by it. */
	uint64_t open_until_ms;
	uint64_t slice; /* The newest one's number. */
	unsigned int requests[BREAKER_SLICES];
	unsigned int timeouts[BREAKER_SLICES];
};

/* Whether deliveries go out. */
int breaker_is_closed(const struct breaker *breaker, uint64_t now_ms);

/* Count one; returns 1 if that has opened the circuit. */
int breaker_count(struct breaker *breaker, int timed_out, uint64_t now_ms);

#endif /* !SIM_BREAKER_H_ */
