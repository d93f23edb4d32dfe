#ifndef SIM_SENDER_H_
#define SIM_SENDER_H_

/*
 * Deliveries as Sentry makes them: signed, with a second to answer in; what
 * failed is repeated for published integrations alone, and an integration that
 * lets half of them hang is left alone for a while.
 *
 * Floor: 5 (sim).  May include base/, json/, crypto/, catalog/, net/.
 */

#include <stdint.h>

#include "base/str.h"

struct buf;
struct install;
struct sender;
struct sim;

/* A wait of a second, for connecting and for each piece of the answer; and for
 * all of it.  Not scaled: the other side lives in real time. */
#define SENDER_SOFT_MS UINT64_C(1000)
#define SENDER_HARD_MS UINT64_C(5000)

/* Further attempts, and what is between them. */
#define SENDER_RETRIES 3
#define SENDER_RETRY_MS (5 * UINT64_C(60000))

/* What came of one attempt. */
struct sender_attempt {
	uint64_t delivery;   /* Its number, from 1. */
	unsigned int n;      /* From 1. */
	unsigned int status; /* 0: no answer. */
	const char *outcome; /* "delivered", "retrying", "failed" or, if the
			      * circuit is open, "dropped". */
	const char *error;   /* Why there is no answer; NULL. */
};

typedef void sender_cb(void *cookie, const struct sender_attempt *attempt);

/* Ownership: keeps ${sim}; the caller frees with sender_free(). */
struct sender *sender_create(struct sim *sim);
void sender_free(struct sender *sender);

/**
 * sender_send(sender, url, resource, published, body, done, cookie):
 * Deliver ${body}; ${done}, which may be NULL, is told of the first attempt,
 * later.
 *
 * Returns:   the delivery's number.
 * Ownership: consumes ${body}; borrows the text; keeps ${cookie} until then.
 */
uint64_t sender_send(struct sender *sender, const char *url,
    const char *resource, int published, struct buf *body, sender_cb *done,
    void *cookie);

#endif /* !SIM_SENDER_H_ */
