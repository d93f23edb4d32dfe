#ifndef SCRIPT_BUNDLE_H_
#define SCRIPT_BUNDLE_H_

/*
 * One loaded generation of one script: its source and libs, a state with its
 * globals, and the jobs that run in it.
 *
 * When a job breaks the memory limit the state is of no use to anybody: the
 * other jobs that run in it end uncharged, and the script is loaded anew.
 *
 * Floor: 4 (script).  May include base/, json/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

#include "script/vm.h"
#include "wire/proto.h"

struct bundle;
struct event_base;
struct lua_State;

/* The outcome of job ${job}: exactly once a job.  ${outcome} is borrowed. */
typedef void bundle_done_cb(
    void *cookie, uint64_t job, const struct proto_outcome *outcome);

/* The same of an invocation. */
typedef void bundle_invoked_cb(
    void *cookie, uint64_t id, const struct proto_invoked *invoked);

struct bundle_env {
	struct event_base *base;
	struct vm_limits limits;
	struct vm_host host;
	bundle_done_cb *done;
	bundle_invoked_cb *invoked; /* May be NULL where nobody invokes. */
	void *cookie;
};

/**
 * bundle_load(env, id, load, ret_loaded):
 * Load a script: compile it, run its top level, see what handlers it has.
 *
 * Returns:   the bundle, or NULL if it did not load; ${ret_loaded} is what to
 *            tell the host either way, for proto_loaded_clear().
 * Ownership: keeps ${env}, copies ${load}; free with bundle_free().
 * Thread:    always the same.  Runs Lua.
 */
struct bundle *bundle_load(const struct bundle_env *env, uint64_t id,
    const struct proto_load *load, struct proto_loaded *ret_loaded);

/* Free it with all that runs in it, without a word. */
void bundle_free(struct bundle *bundle);

/**
 * bundle_run(bundle, job, run):
 * Run one job up to its first wait.  The outcome may come before this returns,
 * and the first outcome is the last thing that is done with ${bundle} in here.
 *
 * Ownership: borrows ${run}.
 */
void bundle_run(
    struct bundle *bundle, uint64_t job, const struct proto_run *run);

/**
 * bundle_invoke(bundle, id, invoke):
 * Have the script answer a request to a UI component: as bundle_run(), but with
 * bundle_env.invoked.
 *
 * Ownership: borrows ${invoke}.
 */
void bundle_invoke(
    struct bundle *bundle, uint64_t id, const struct proto_invoke *invoke);

uint64_t bundle_id(const struct bundle *bundle);

/* Jobs that run or wait. */
size_t bundle_jobs(const struct bundle *bundle);

/* Whether the job of it that ended last used much CPU at a time. */
int bundle_is_slow(const struct bundle *bundle);

/**
 * bundle_compile(L, source, chunk):
 * Push the function of ${source}, which is Lua as text and may begin with a
 * byte order mark and a "#!" line; ${chunk} is "@file" or "=name".
 *
 * Returns:   LUA_OK, or a status and the message is pushed.
 * Lua stack: [-0, +1, -]
 */
int bundle_compile(struct lua_State *L, struct str source, const char *chunk);

/**
 * bundle_eval(env, id, name, source, ret_json, ret_error):
 * Run a chunk of configuration in a state of its own and encode what it
 * returns.  env "NAME" in it asks for the secret "env:NAME" of bundle 0.
 *
 * Ownership: one of ${ret_json} and ${ret_error} is set, for free(); the other
 *            is NULL.
 */
void bundle_eval(const struct bundle_env *env, uint64_t id, const char *name,
    const char *source, char **ret_json, char **ret_error);

#endif /* !SCRIPT_BUNDLE_H_ */
