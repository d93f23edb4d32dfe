#ifndef DISPATCH_DISPATCH_H_
#define DISPATCH_DISPATCH_H_

/*
 * Deliveries out: takes due jobs from the store, has workers run them, and
 * writes down what came of it.  All of it happens in one event loop and never
 * waits; the workers are processes of their own (dispatch/workers.h), which
 * version of a script they run is the business of dispatch/scripts.h.
 *
 * Floor: 5 (dispatch).  May include base/, catalog/, script/, store/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "dispatch/preflight.h"
#include "store/store.h"
#include "wire/proto.h"

struct buf;
struct catalog;
struct dispatch;
struct dispatch_ask;
struct dispatch_asked;
struct err;
struct event_base;
struct jwrite;
struct mailbox;
struct routes;
struct source;

struct dispatch_reply;

struct dispatch_options {
	struct event_base *base;
	struct store *store;
	struct mailbox *mailbox; /* Opened by that loop. */
	const struct catalog *catalog;
	const char *data_dir;
	const char *program; /* Of the workers; NULL: this binary. */

	unsigned int workers;     /* 0: one a core. */
	unsigned int concurrency; /* Jobs of one script at a time; 0 = 32. */
	struct proto_setup limits;
	enum preflight_level preflight;
	uint64_t load_ms; /* Deadline for a new version to load; 0 = 5 s. */
	unsigned int retry_attempts; /* 0 = 16. */
	uint64_t retry_base_ms;      /* 0 = 1 s. */
	uint64_t retry_max_ms;       /* 0 = 1 h. */
	uint64_t lease_ms; /* A job that its worker still has after that is lost
			    * there, and the worker with it; 0: by the limits.
			    */

	void *cookie;

	/**
	 * Append the secret ${name} of an integration to ${ret_value}; or
	 * return -1, and ${err} says why there is none.  NULL: there are none.
	 */
	int (*secret)(void *cookie, const char *integration, const char *name,
	    struct buf *ret_value, struct err *err);

	/**
	 * A script asks the host for something (PROTO_ASK): answer it with
	 * dispatch_answer(), once, now or later.  NULL: nothing is done for
	 * scripts.
	 */
	void (*ask)(void *cookie, struct dispatch_ask *ask);

	/* Whether a script is to have all of Lua's libraries, in workers of its
	 * own outside of the wall (--unsafe-stdlib); NULL: none is. */
	int (*unsafe)(void *cookie, const char *integration, const char *name);

	/* Take the secrets out of what is kept of a run.  May be NULL. */
	void (*redact)(void *cookie, struct buf *text);

	/* A schedule was due and has become a delivery.  May be NULL. */
	void (*stored)(void *cookie, const struct store_append *append);

	/* There are other handlers than before.  ${routes} is a reference that
	 * the callee has to give up. */
	void (*routes)(void *cookie, struct routes *routes);

	/* A script has another state, version or error.  May be NULL. */
	void (*script)(void *cookie, const char *integration, const char *name);

	/* A job has another state: it runs, or is done, dead, ...; retrying
	 * until ${next_unix_ms}.  May be NULL. */
	void (*job)(void *cookie, const struct store_job *job,
	    enum store_state state, uint64_t next_unix_ms, const char *error);

	/* The clock that schedules go by; NULL: the wall clock. */
	uint64_t (*unix_ms)(void);
};

/* A schedule of a script. */
struct dispatch_schedule {
	const char *name;
	const char *rule;      /* As text. */
	uint64_t next_unix_ms; /* 0: not known yet, or never. */
};

/* What one script is at, for a person. */
struct dispatch_script {
	const char *integration;
	const char *name;
	const char *state;   /* "loaded", "failed", "removed", "parked",
			      * "loading" */
	const char *version; /* That is served; NULL: none. */
	uint64_t loaded_unix_ms;
	char *const *handlers;
	size_t nhandlers;
	const char
	    *declared; /* JSON, as in struct proto_loaded; NULL: nothing. */
	const struct dispatch_schedule *schedules;
	size_t nschedules;
	const char *error; /* NULL: none. */
	unsigned int running;
	int paused;
	int throttled; /* Only one job at a time, until one succeeds. */
	int slow;      /* In the slow lane. */
	int unsafe;    /* It has all of Lua's libraries. */
	long pid; /* Of the worker that serves it; -1: none does just now. */
};

/* A script's question to the host: borrowed until it is answered. */
struct dispatch_ask {
	const char *integration;
	const char *script;
	uint64_t job;      /* 0: none. */
	uint64_t delivery; /* 0: none. */
	const char *topic;
	struct str args_json;         /* JSON. */
	struct dispatch_asked *asked; /* The dispatcher's. */
};

/* Counted since the start. */
struct dispatch_stats {
	uint64_t done;
	uint64_t dropped;
	uint64_t failed; /* Attempts, also those that were retried. */
	uint64_t dead;
	uint64_t returned; /* Put back uncharged. */
	uint64_t killed;   /* Workers that hung or crashed. */
	unsigned int running;
	unsigned int workers; /* That are ready. */
};

/**
 * dispatch_create(options):
 * Start the workers.  Sets the store's watcher (store_watch()), so it comes
 * before the first operation on the store.
 *
 * Ownership: keeps what the options point to; the caller frees with
 *            dispatch_free().
 * Thread:    that of the event base, as for everything here; it must live as
 *            long as the workers should.
 */
struct dispatch *dispatch_create(const struct dispatch_options *options);

/**
 * dispatch_answer(ask, json, err):
 * The answer: JSON, of at most PROTO_ASK_MAX bytes, or what is in ${err} unless
 * that is NULL.
 *
 * Ownership: consumes ${ask}, borrows the rest.  All must be answered before
 *            dispatch_free(), also those whose worker is gone.
 */
void dispatch_answer(
    struct dispatch_ask *ask, struct str json, const struct err *err);

/* The host listens on ${port}: scripts cannot connect to it, whatever else is
 * opened to them. */
void dispatch_refuse(struct dispatch *dispatch, uint16_t port);

/**
 * dispatch_update(dispatch, integration, source):
 * The scripts folder of ${integration} holds ${source} now: fits
 * watch_changed_cb.  The first call for an integration publishes the handlers
 * that its last good versions had before a restart.
 *
 * Ownership: takes references to ${source}.
 * Thread:    reads and writes files in the data folder.
 */
void dispatch_update(
    struct dispatch *dispatch, const char *integration, struct source *source);

/**
 * dispatch_when_settled(dispatch, done, cookie):
 * Have ${done} called, once, from the loop, when no script is being tried or
 * loaded any more: after a start, after a reload.  A later call replaces one
 * that waits: then the earlier one is never called.
 */
void dispatch_when_settled(
    struct dispatch *dispatch, void (*done)(void *cookie), void *cookie);

/**
 * dispatch_script_at(dispatch, index, ret_script):
 * Script number ${index}, in the order in which they were first seen.
 *
 * Returns:   0, or -1 if there are not so many.
 * Ownership: the texts are valid until the loop goes on.
 */
int dispatch_script_at(const struct dispatch *dispatch, size_t index,
    struct dispatch_script *ret_script) ATTR_MUSTCHECK;

/* The script of that name: as dispatch_script_at(). */
int dispatch_script_find(const struct dispatch *dispatch,
    const char *integration, const char *name,
    struct dispatch_script *ret_script) ATTR_MUSTCHECK;

/* Write a script's members as PRODUCT.md section 8 has them, without the
 * braces around them and without "pending", which the store knows. */
void dispatch_write_script(
    const struct dispatch_script *script, struct jwrite *w);

void dispatch_stats(
    const struct dispatch *dispatch, struct dispatch_stats *ret_stats);

/* The process of the worker of that name ("worker-1", "slow", "spare",
 * "unsafe:SCRIPT:worker"), or -1. */
long dispatch_worker_pid(const struct dispatch *dispatch, const char *name);

/**
 * dispatch_pause(dispatch, integration, script, err),
 * dispatch_resume(dispatch, integration, script, err):
 * Hold the jobs of a script, also after a restart; let them go on, which frees
 * a parked script, too.  To discard them is the store's (STORE_OP_DISCARD).
 *
 * Errors:    ERR_NOT_FOUND    there is no such script;
 *            ERR_UNAVAILABLE  it could not be noted in the data folder.
 */
int dispatch_pause(struct dispatch *dispatch, const char *integration,
    const char *script, struct err *err) ATTR_MUSTCHECK;
int dispatch_resume(struct dispatch *dispatch, const char *integration,
    const char *script, struct err *err) ATTR_MUSTCHECK;

/* A request to a UI component: all of it is borrowed. */
struct dispatch_request {
	const char *integration;
	const char *route;       /* "alert-rule-action", "options/NAME", ... */
	struct str request_json; /* The body, or the query as an object. */
	uint64_t deadline_ms;
	void (*done)(void *cookie, const struct dispatch_reply *reply);
	void *cookie;
};

/* What is answered; borrowed during the call. */
struct dispatch_reply {
	int status; /* The script's; 404: nobody declares it, 502: the script
		     * failed, 503: not now, 504: too late. */
	struct str body;      /* JSON. */
	const char *location; /* Of a 302. */
	const char *script;   /* Who answered; NULL: nobody. */
	const char *error;    /* Why it failed, for its author alone. */
	const char *traceback;
	struct str log_json; /* As in a run's record; may be empty. */
	struct str calls_json;
	uint64_t duration_ms;
};

/**
 * dispatch_invoke(dispatch, request):
 * Have the script that declares it answer a request to a UI component.  Nothing
 * of it is kept.
 *
 * Ownership: copies ${request}; its `done` is called once, perhaps in here, at
 *            the latest by dispatch_free().
 */
void dispatch_invoke(
    struct dispatch *dispatch, const struct dispatch_request *request);

/**
 * dispatch_drain(dispatch, deadline_ms, done, cookie):
 * Take no more jobs, let those that run end within ${deadline_ms}, put the rest
 * back uncharged, stop the workers; then call ${done}, once, from the loop.
 */
void dispatch_drain(struct dispatch *dispatch, uint64_t deadline_ms,
    void (*done)(void *cookie), void *cookie);

/**
 * dispatch_free(dispatch):
 * Free it, after the drain was done, or before the loop ever ran.  NULL has no
 * effect.
 */
void dispatch_free(struct dispatch *dispatch);

#endif /* !DISPATCH_DISPATCH_H_ */
