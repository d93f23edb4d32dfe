#ifndef DISPATCH_PREFLIGHT_H_
#define DISPATCH_PREFLIGHT_H_

/*
 * The tests of a version that loads, before it is served: those in
 * NAME_test.lua beside it.  They run in a worker for that alone, one after the
 * other, so that they delay nothing but the version itself; the first one that
 * fails decides.
 *
 * Floor: 5 (dispatch).  May include base/, catalog/, wire/.
 */

#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

struct catalog;
struct event_base;
struct ipc_frame;
struct preflight;
struct script;
struct version;
struct worker;
struct workers_death;

/**
 * preflight_done_cb(cookie, script, version, error):
 * The tests of ${version} have run: ${error} is NULL, or which one fails, where
 * and why.  Borrows all.
 */
typedef void preflight_done_cb(void *cookie, struct script *script,
    struct version *version, const char *error);

/* What a saved version has to stand before it is served. */
enum preflight_level {
	PREFLIGHT_LOAD, /* To load, in the spare worker. */
	PREFLIGHT_OFF,
	PREFLIGHT_TEST, /* To load, and its tests, if it has any. */
};

struct preflight_options {
	struct event_base *base;
	const struct catalog *catalog;
	void *cookie;
	preflight_done_cb *done;
	/* The worker that is to run the tests of ${script}: made when it is
	 * first asked for. */
	struct worker *(*worker)(void *cookie, const struct script *script);
};

/**
 * preflight_create(options):
 * Ownership: keeps what the options point to; free with preflight_free().
 * Thread:    that of the event base, as for everything here.
 */
struct preflight *preflight_create(const struct preflight_options *options);
void preflight_free(struct preflight *preflight);

/* Whether ${version} has tests. */
int preflight_has_tests(const struct version *version);

/* Have them run, after those that were asked for before. */
void preflight_want(struct preflight *preflight, struct script *script,
    struct version *version);

/* Whether tests run, or wait to. */
int preflight_is_busy(const struct preflight *preflight);

/* Begin no more: the workers are being stopped. */
void preflight_stop(struct preflight *preflight);

/* What the workers say: ready() and died() of any of them, the frames only of
 * those that are for tests. */
void preflight_ready(struct preflight *preflight, const struct worker *worker);
int preflight_frame(struct preflight *preflight, struct worker *worker,
    const struct ipc_frame *frame) ATTR_MUSTCHECK;
void preflight_died(struct preflight *preflight, const struct worker *worker,
    const struct workers_death *death);

#endif /* !DISPATCH_PREFLIGHT_H_ */
