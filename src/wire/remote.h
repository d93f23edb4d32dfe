#ifndef WIRE_REMOTE_H_
#define WIRE_REMOTE_H_

/*
 * A worker for somebody who waits: loading a script to see whether it does,
 * evaluating a file of configuration, running a test of handlers.  Whatever the
 * code does, the caller gets its answer within the deadline and lives on.
 *
 * Floor: 3 (wire).  May include base/.
 */

#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"
#include "wire/proto.h"

struct err;
struct remote;

/**
 * What a chunk asks for by name: "env:VAR" for a variable of the environment in
 * a configuration, else a secret.
 *
 * Returns:   the value, which must stay as it is until the next call, or NULL.
 */
typedef const char *remote_secret_cb(void *cookie, const char *name);

/**
 * What a test of handlers asks of the catalogue: catalog_ask().
 */
typedef int remote_catalog_cb(void *cookie, const char *question,
    const char *body, char **ret_json, struct err *err);

/**
 * Whether a script is to have all of Lua's libraries (--unsafe-stdlib).  It,
 * and each test in its NAME_test.lua, gets a worker of its own outside of the
 * wall.
 */
typedef int remote_unsafe_cb(void *cookie, struct str script);

struct remote_options {
	const char *program;        /* NULL: this binary. */
	struct proto_setup setup;   /* The limits. */
	uint64_t deadline_ms;       /* For one load, evaluation or test. */
	remote_secret_cb *secret;   /* NULL: there are none. */
	remote_catalog_cb *catalog; /* NULL: no test is run. */
	remote_unsafe_cb *unsafe;   /* NULL: none is. */
	void *cookie;
};

/**
 * remote_open(options):
 * Make ready.  The worker is started by the first call that needs it, and again
 * after it had to be killed.
 *
 * Ownership: keeps options->program and the cookie; the caller frees with
 *            remote_close().
 */
struct remote *remote_open(const struct remote_options *options);

/**
 * remote_load(remote, load, ret_loaded, err):
 * Load one script.
 *
 * Returns:   0, and ${ret_loaded} says what it offers, or in its `error` why it
 *            does not load; or -1.
 * Errors:    ERR_TIMEOUT      it did not finish loading by the deadline;
 *            ERR_INTERNAL     the worker died of it, or broke the protocol;
 *            ERR_UNAVAILABLE  no worker could be started.
 * Ownership: the caller frees with proto_loaded_clear().
 * Thread:    that of remote_open(); blocks.
 */
int remote_load(struct remote *remote, const struct proto_load *load,
    struct proto_loaded *ret_loaded, struct err *err) ATTR_MUSTCHECK;

/**
 * remote_eval(remote, name, source, ret_json, err):
 * Run a chunk of configuration; messages call it ${name}.
 *
 * Returns:   0, and *${ret_json} is what it returned.
 * Errors:    ERR_INVALID      it failed: "file:line: message"; and those of
 *                             remote_load().
 * Ownership: the caller frees *${ret_json} with free().
 * Thread:    that of remote_open(); blocks.
 */
int remote_eval(struct remote *remote, const char *name, const char *source,
    char **ret_json, struct err *err) ATTR_MUSTCHECK;

/**
 * remote_test(remote, test, ret_json, err):
 * Run a test, or list those of a file.
 *
 * Returns:   0, and *${ret_json} is what testrun() in script/testrun.h says.
 * Errors:    those of remote_load().
 * Ownership: the caller frees *${ret_json} with free().
 * Thread:    that of remote_open(); blocks.
 */
int remote_test(struct remote *remote, const struct proto_test *test,
    char **ret_json, struct err *err) ATTR_MUSTCHECK;

/* Stop the worker.  remote_close(NULL) has no effect. */
void remote_close(struct remote *remote);

#endif /* !WIRE_REMOTE_H_ */
