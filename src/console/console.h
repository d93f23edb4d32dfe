#ifndef CONSOLE_CONSOLE_H_
#define CONSOLE_CONSOLE_H_

/*
 * A person's view of the host: deliveries, what became of their jobs, replays,
 * scripts, as JSON over a listener of its own.  Nobody gets in without the
 * token; a browser gets a cookie for it from the address that has the token.
 *
 * Routes (PRODUCT section 8 has their shapes):
 *
 *	GET  /                              a page that lists them
 *	GET  /healthz                       without the token
 *	GET  /metrics                       Prometheus
 *	GET  /api/deliveries                state= resource= action= script=
 *	                                    integration= since= until= q= limit=
 *	                                    before=
 *	GET  /api/deliveries/ID
 *	POST /api/deliveries/ID/replay      {"scripts":[...], "all":false}
 *	POST /api/replay                    {"state", "script", "integration",
 *	                                    "since"}
 *	GET  /api/scripts
 *	POST /api/scripts/NAME/pause        {"integration"}; so for the others
 *	POST /api/scripts/NAME/resume
 *	POST /api/scripts/NAME/discard
 *	POST /api/reload
 *	GET  /api/events                    server-sent events
 *
 * It runs in the loop that the dispatcher runs in, never waits, and knows the
 * other floors by the calls in struct console_options alone.
 *
 * Floor: 5 (console).  May include base/, json/, crypto/, catalog/, net/,
 * store/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"
#include "store/store.h"

struct buf;
struct catalog;
struct console;
struct err;
struct jwrite;
struct loop;
struct routes;

/* A script, as a call tells of it; valid until the loop goes on. */
struct console_script {
	const char *integration;
	const char *name;
	const char *state; /* "loaded", "failed", ... */
	const char *error; /* Why its newest version is not served, or NULL. */
};

struct console_options {
	struct loop *loop;
	struct store *store;
	const struct catalog *catalog;
	const char *address; /* "127.0.0.1:8081"; port 0: any that is free. */
	const char *token;

	void *cookie; /* Of all that follow. */

	/* Take the secrets out of what is shown. */
	void (*redact)(void *cookie, struct buf *text);

	/* Which scripts get a delivery now; borrowed, may be NULL. */
	struct routes *(*routes)(void *cookie);

	/* Script number ${index}: 0, or -1 if there are not so many. */
	int (*script)(
	    void *cookie, size_t index, struct console_script *ret_script);

	/* Write the members of a script, all but "pending". */
	void (*write_script)(void *cookie, const char *integration,
	    const char *name, struct jwrite *w);

	/* Hold the jobs of a script, or let them go on. */
	int (*pause)(void *cookie, const char *integration, const char *name,
	    int paused, struct err *err);

	/* Look at the scripts folders, and call console_reloaded() when all
	 * that is new there has been tried; or return -1. */
	int (*reload)(void *cookie, struct err *err);

	/* Append what the other floors have counted, as Prometheus' text. */
	void (*metrics)(void *cookie, struct buf *out);
};

/**
 * console_start(options, ret_console, err):
 * Listen, and serve in the loop.
 *
 * Errors:    ERR_INVALID      not an address;
 *            ERR_RESOLVE      no such host;
 *            ERR_UNAVAILABLE  in use, or not ours.
 * Ownership: copies address and token, keeps the rest; the caller frees with
 *            console_free(), before the loop and after the store.
 * Thread:    the loop's, or any before it runs; so for all of the below.
 */
int console_start(const struct console_options *options,
    struct console **ret_console, struct err *err) ATTR_MUSTCHECK;
void console_free(struct console *console);

/* Where it listens: "127.0.0.1:8081". */
const char *console_address(const struct console *console);

/* The scripts have been reloaded: whoever asked for it is answered. */
void console_reloaded(struct console *console);

/* ---- what is told to those who follow (GET /api/events) ------------------
 * `delivery` and `script` have the shapes of the lists; `job` that of a job of
 * a delivery, with delivery, integration, resource and action beside.  A job
 * may be told of before its delivery.  `reset`: events were lost, read the
 * lists again.
 */

/* Whether anybody follows, or may come back: else nothing need be told.
 * Thread: any. */
int console_is_followed(const struct console *console);

/**
 * console_delivery_json(append, out):
 * Append a delivery that was stored just now, as the console shows it.
 *
 * Thread:    any.
 */
void console_delivery_json(const struct store_append *append, struct buf *out);

/* Tell of a delivery, as console_delivery_json() has written it. */
void console_tell_delivery(struct console *console, struct str json);

/* Deliveries came that nobody could be told of. */
void console_tell_gap(struct console *console);

/* A job has another state; it is retrying until ${next_unix_ms}. */
void console_tell_job(struct console *console, const struct store_job *job,
    enum store_state state, uint64_t next_unix_ms, const char *error);

/* A script has another state, version or error. */
void console_tell_script(
    struct console *console, const char *integration, const char *name);

#endif /* !CONSOLE_CONSOLE_H_ */
