#ifndef SENTRY_REACH_H_
#define SENTRY_REACH_H_

/*
 * The host's own requests to Sentry: each on a connection of its own, since
 * libcurl repeats by itself what a reused one did not answer, and a token must
 * not be spent twice.  The user has named the server, so no address of it is
 * refused.
 *
 * Floor: 3 (sentry).  May include base/, net/.
 */

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

struct event_base;
struct proxy;
struct reach;

struct reach_request {
	const char *method;
	const char *url;
	const char *bearer;       /* NULL: no token. */
	const char *content_type; /* Of the body. */
	struct str body;
};

/* Valid until the callback returns. */
struct reach_answer {
	unsigned int status; /* 0: there was no whole answer, and err says why.
			      */
	struct err err;
	struct str body;
	uint64_t retry_after_ms; /* What the answer asks for; 0: nothing. */
};

typedef void reach_done_cb(void *cookie, const struct reach_answer *answer);

/**
 * reach_create(base, proxy), reach_free(reach):
 * Ownership: keeps ${base} and ${proxy}, which may be NULL.  What is on its way
 * when it is freed is never answered.
 */
struct reach *reach_create(struct event_base *base, const struct proxy *proxy);
void reach_free(struct reach *reach);

/**
 * reach_send(reach, request, done, cookie):
 * Send; ${done} is called once, from the loop.  Its first parameter is opaque
 * so that others can take its place in tests.
 */
void reach_send(void *reach, const struct reach_request *request,
    reach_done_cb *done, void *cookie);

#endif /* !SENTRY_REACH_H_ */
