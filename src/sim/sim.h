#ifndef SIM_SIM_H_
#define SIM_SIM_H_

/*
 * A stand-in for Sentry on a local port, for development and tests: the install
 * flow with its tokens, an OAuth 2 server, the REST calls that handlers make, a
 * sender of webhooks with Sentry's delivery policy, and requests as UI
 * components make them.  What a test or a person wants to happen is said by
 * POST to /sim/...; docs/sim.md lists it all.
 *
 * Everything is in memory.  /sim/ is answered only to who asks for it by an
 * address or as localhost, and never to a page of the web: what it sends is
 * signed with the client secret.
 *
 * Floor: 5 (sim).  May include base/, json/, crypto/, catalog/, net/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct catalog;
struct err;
struct loop;
struct sim;

struct sim_options {
	struct loop *loop;
	const struct catalog *catalog;
	const char *url;            /* Its own: "http://127.0.0.1:8082" */
	const char *client_id;      /* Of the one integration there is. */
	const char *const *secrets; /* The first one signs; any is taken. */
	size_t nsecrets;            /* At least 1. */
	uint64_t scale; /* What lasts some time lasts that much shorter; but
			 * for the time that a request may take. */
};

/**
 * sim_create(options, fd, ret_sim, err):
 * Be Sentry on the listening socket ${fd}.
 *
 * Errors:    ERR_UNAVAILABLE  no memory or descriptors;
 *            ERR_INTERNAL     libcurl does not start.
 * Ownership: consumes ${fd}; keeps what ${options} points to; the caller frees
 *            with sim_free(), before the loop.
 * Thread:    the loop's, or any before the loop runs.
 */
int sim_create(const struct sim_options *options, int fd, struct sim **ret_sim,
    struct err *err) ATTR_MUSTCHECK;
void sim_free(struct sim *sim);

#endif /* !SIM_SIM_H_ */
