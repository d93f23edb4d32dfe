#ifndef DISPATCH_SCRIPTS_INTERNAL_H_
#define DISPATCH_SCRIPTS_INTERNAL_H_

/*
 * What the table of scripts (scripts.c) and the serving of their versions
 * (scripts_serve.c) know of each other.
 *
 * Floor: 5 (dispatch).  Private to its folder.
 */

#include <event2/util.h>

#include "dispatch/scripts.h"

/* Bundles and jobs are told apart in a worker's status page. */
#define BUNDLE_BIT (1ULL << 63)

struct scripts {
	struct scripts_options options;
	struct workers *workers;
	struct script *first;
	struct script **last;
	struct bundle *bundles;
	struct lane *lanes; /* The spare, then the normal ones. */
	struct lane *spare;
	struct lane *slow; /* Made when the first script needs it. */
	uint64_t next_bundle;
	int stopping;
	int unsettled; /* Something changed since settled() was called. */

	/* Those that wait to be tried, and the one that is. */
	struct script *queue;
	struct script **queue_last;
	struct script *trying;
	struct version *trying_version;
	struct lane *trying_lane;
	uint64_t trying_id;
	struct event *deadline;
	struct event *reload;
	struct preflight *preflight;
};

/* Put a reference into a slot; give a script another error. */
void scripts_set_version(struct version **slot, struct version *version);
void scripts_set_error(struct script *script, const char *error);

/* Tell, once, that nothing is under way any more. */
void scripts_check_settled(struct scripts *s);

/* A new worker, for all or (${owner}) for one; place a script (NULL: nowhere).
 */
struct lane *scripts_lane_add(struct scripts *s, enum lane_kind kind,
    const char *name, const struct script *owner);
void scripts_set_lane(struct script *script, struct lane *lane);

/* Queue a version to be tried; begin with the next in the queue. */
void scripts_want(
    struct scripts *s, struct script *script, struct version *version);
void scripts_try_next(struct scripts *s);

/* Have the version that should be served loaded where it should be. */
void scripts_load(struct scripts *s, struct script *script);

/*
 * What was seen last in the folder is not good: the log says ${what} ("script
 * failed to load").  The last good one stays, or is put to work if this is the
 * start.
 */
void scripts_fail(struct scripts *s, struct script *script, const char *what,
    const char *error, const char *traceback);
#define SCRIPTS_FAILED_TO_LOAD "script failed to load"
#define SCRIPTS_FAILED_TESTS "script failed its tests"

/* Send no more to a bundle; it goes with its last run.  NULL is allowed. */
void scripts_retire(struct scripts *s, struct bundle *bundle);

/* Scripts of an integration have changed: try those again that declared what
 * another did. */
void scripts_retry_clashes(struct scripts *s, const char *integration);

/* Of the preflight: the tests of ${version} have run. */
void scripts_on_tested(void *cookie, struct script *script,
    struct version *version, const char *error);
struct worker *scripts_tests_worker(void *cookie, const struct script *script);

/* Of the timers. */
void scripts_on_deadline(evutil_socket_t fd, short what, void *arg);
void scripts_on_reload(evutil_socket_t fd, short what, void *arg);

#endif /* !DISPATCH_SCRIPTS_INTERNAL_H_ */
