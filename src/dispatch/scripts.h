#ifndef DISPATCH_SCRIPTS_H_
#define DISPATCH_SCRIPTS_H_

/*
 * The scripts, and which version of each is served where.  A new version is
 * tried in the spare worker first; then it is loaded beside the old one into
 * the worker that the script is placed on, and takes its place; the old one
 * ends with its last run.  A version that does not load changes nothing; nor
 * does one whose tests fail, if they are looked at (dispatch/preflight.h).
 *
 * An unsafe script is tried, tested and served in workers that no other script
 * is ever sent to.
 *
 * Floor: 5 (dispatch).  May include base/, json/, catalog/, script/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"
#include "dispatch/preflight.h"
#include "dispatch/workers.h"

struct catalog;
struct event_base;
struct feed;
struct proto_log;
struct scripts;
struct source;
struct version;

enum lane_kind {
	LANE_NORMAL,
	LANE_SLOW,  /* Shared by the scripts that use much CPU. */
	LANE_SPARE, /* For trying new versions; runs no jobs. */
	LANE_TESTS, /* For their tests; the same. */
};

/* A worker and what is placed on it. */
struct lane {
	struct lane *next;
	struct worker *worker;
	enum lane_kind kind;
	const struct script *owner; /* An unsafe script, which is alone here;
				     * NULL: whichever are not. */
	unsigned int nscripts;
	unsigned int nruns;  /* The dispatcher's. */
	unsigned int nasked; /* The dispatcher's: claimed, not yet there. */
	unsigned int nasks;  /* The dispatcher's: of its jobs to the host. */
	unsigned int nquestions; /* The dispatcher's: of its jobs to the store.
				  */
};

/* A version of a script, as it is loaded in one worker. */
struct bundle {
	struct bundle *next;
	uint64_t id;
	struct script *script;
	struct lane *lane;
	struct version *version; /* Holds a reference. */
	unsigned int nruns;      /* The dispatcher's, by scripts_hold(). */
	int loading;             /* LOADED has not come yet. */
	int retired;             /* Goes with its last run. */
};

struct script {
	struct script *next;
	char *integration;
	char *name;
	int unsafe; /* It has all of Lua's libraries, and lanes of its own. */
	struct lane *lane;
	struct bundle *bundle;   /* Serves new jobs; NULL: nothing does. */
	struct bundle *coming;   /* Is being loaded to take its place. */
	struct version *live;    /* The last good one, served or to be served;
				  * NULL: there never was one. */
	struct version *pending; /* It loads, but is not served yet. */
	struct version *wanted;  /* Is to be tried. */
	struct version *seen;    /* What was seen last in the folder. */
	char *error;             /* Why that is not served; NULL: it is. */
	unsigned int strikes;    /* Workers killed because of it, in a row. */
	int parked;
	int paused;
	int removed;
	int clashes;       /* What was seen last declares what another does. */
	int unloadable;    /* The last good one did not load where it was. */
	struct feed *feed; /* The dispatcher's. */

	struct script *queue_next; /* In the queue of those to be tried. */
	int queued;
};

struct scripts_options {
	struct event_base *base;
	const struct catalog *catalog; /* Whose handlers there can be. */
	const char *data_dir;
	unsigned int workers; /* In the normal lane, at least 1. */
	uint64_t load_ms;     /* Deadline for a new version to load. */
	enum preflight_level preflight;
	void *cookie;

	/* Whether a script is to have all of Lua's libraries; NULL: none is. */
	int (*unsafe)(void *cookie, const char *integration, const char *name);

	/* Which handlers there are has changed. */
	void (*changed)(void *cookie);

	/* A script is new in the table. */
	void (*added)(void *cookie, struct script *script);

	/* A script can take jobs again. */
	void (*servable)(void *cookie, struct script *script);

	/* State, version or error of a script has changed. */
	void (*state)(void *cookie, const struct script *script);

	/* Nothing is being tried or loaded any more. */
	void (*settled)(void *cookie);
};

/**
 * scripts_create(options, workers):
 * Make an empty table, and the workers in the pool ${workers}.
 *
 * Ownership: keeps ${workers}, and what the options point to; the caller frees
 *            with scripts_free(), after the pool.
 * Thread:    that of the event base, as for everything here.
 */
struct scripts *scripts_create(
    const struct scripts_options *options, struct workers *workers);
void scripts_free(struct scripts *scripts);

/**
 * scripts_update(scripts, integration, source):
 * The folder of ${integration} holds ${source} now.
 *
 * Ownership: takes references to ${source} as needed.
 * Thread:    reads and writes files in the data folder.
 */
void scripts_update(
    struct scripts *scripts, const char *integration, struct source *source);

/* There are jobs of a script that is in no folder: show it as removed.  Returns
 * 0 if it is in the table already. */
int scripts_add_gone(
    struct scripts *scripts, const char *integration, const char *name);

/* Whether something is being tried or loaded, that can be. */
int scripts_are_settled(const struct scripts *scripts);

/* Try and load nothing more: the workers are being stopped. */
void scripts_stop(struct scripts *scripts);

/* What the workers say (struct workers_options); of died(), the jobs that ran
 * there must have been released before. */
void scripts_worker_ready(struct scripts *scripts, struct worker *worker);
int scripts_worker_loaded(struct scripts *scripts, struct worker *worker,
    uint64_t id, struct str payload) ATTR_MUSTCHECK;
int scripts_worker_tested(struct scripts *scripts, struct worker *worker,
    const struct ipc_frame *frame) ATTR_MUSTCHECK;
void scripts_worker_died(struct scripts *scripts, struct worker *worker,
    const struct workers_death *death);

/* The first script; the others by their next.  Removed ones stay. */
struct script *scripts_first(const struct scripts *scripts);
struct script *scripts_find(
    const struct scripts *scripts, const char *integration, const char *name);

/* The lane of a worker; the first lane. */
struct lane *scripts_lane_of(
    const struct scripts *scripts, const struct worker *worker);
struct lane *scripts_lanes(const struct scripts *scripts);

/* The bundle ${id} if it is in that worker, or NULL. */
struct bundle *scripts_bundle(
    const struct scripts *scripts, const struct worker *worker, uint64_t id);

/* The integration that a version which is being tried belongs to, or NULL. */
const char *scripts_trying(
    const struct scripts *scripts, const struct worker *worker, uint64_t id);

/* Whether jobs can be sent to it now. */
int script_is_servable(const struct script *script);

/* "loaded", "failed", "removed", "parked", or "loading" before the first. */
const char *script_state_name(const struct script *script);

/* A run begins on a bundle, or is over. */
void scripts_hold(struct bundle *bundle);
void scripts_release(struct scripts *scripts, struct bundle *bundle);

/**
 * scripts_charge(scripts, script, why):
 * A worker had to go because of it: parks it when that happened too often.
 */
void scripts_charge(
    struct scripts *scripts, struct script *script, const char *why);

/* One of its runs ended as it should. */
void scripts_absolve(struct script *script);

/* It used too much CPU in a slice: move it to the slow lane. */
void scripts_set_slow(struct scripts *scripts, struct script *script);

/**
 * scripts_pause(scripts, script, paused, err):
 * Hold its jobs, or (0) let them go on, which also frees a parked one.
 *
 * Errors:    ERR_UNAVAILABLE  it could not be noted in the data folder.
 */
int scripts_pause(struct scripts *scripts, struct script *script, int paused,
    struct err *err) ATTR_MUSTCHECK;

/* Whether a log line of top-level code was there when the version was tried. */
int scripts_is_echo(const struct scripts *scripts, const struct worker *worker,
    const struct proto_log *log);

#endif /* !DISPATCH_SCRIPTS_H_ */
