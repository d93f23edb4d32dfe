#ifndef SCRIPT_TESTRUN_H_
#define SCRIPT_TESTRUN_H_

/*
 * A test of handlers: a function test_* of a file *_test.lua.  It runs in a
 * state of its own, with the module `testing` (script/l_testing.c,
 * lua/moonpost/testing.lua); the scripts that it loads run in theirs, as they
 * do in `serve`, within the same process and against a struct mock each.
 *
 * All of it is done in one go and waits for nothing but the host's answer to
 * what is asked of the catalogue: time is a struct vclock.
 *
 * Floor: 4 (script), private.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#include "script/timer.h"
#include "script/vm.h"
#include "wire/proto.h"

struct bundle_env;
struct lua_State;
struct mock;
struct testrun_wait;

/* Scripts that one test may load. */
#define TESTRUN_MOCKS_MAX 100

/**
 * testrun_catalog_cb(cookie, question, body, ret_error):
 * Ask the host's catalogue, see catalog/ask.h.
 *
 * Returns:   JSON, or NULL and *${ret_error} says why there is none, or is NULL
 *            as well if nobody answers; all for free().
 */
typedef char *testrun_catalog_cb(
    void *cookie, const char *question, const char *body, char **ret_error);

struct testrun_mock {
	struct mock *mock;
	struct proto_load load; /* Borrowed, all but chunk. */
	char *source;           /* What the test gave as source; or NULL. */
};

/* One test that runs; what l_testing.c sees of it. */
struct testrun {
	const struct bundle_env *env;  /* The worker's; borrowed. */
	const struct proto_test *test; /* Borrowed. */
	testrun_catalog_cb *catalog;
	void *cookie;
	struct vclock clock;
	struct vm_host host; /* Of the test's own state. */
	struct vm_script script;
	struct vm *vm;
	struct testrun_mock mocks[TESTRUN_MOCKS_MAX];
	size_t nmocks;
	struct testrun_wait *wait; /* What the test waits for; or NULL. */
	int main_ref;              /* What runs a test; in the registry. */
	/* What was read last of a mock, freed when the next is read. */
	struct proto_loaded loaded;
	struct proto_outcome outcome;
	struct proto_invoked invoked;
	struct proto_log log;
	char *text; /* The same of the catalogue. */
	char *error;
};

/**
 * testrun(env, test, catalog, cookie):
 * Run a test, or list those of its file.
 *
 * Returns:   JSON, for free().  Of a list: {"tests":[{"name","line"}],"error"},
 *            in the order of the file; error is null, or why it does not load.
 *            Of a test: {"ok","message","traceback","notes":[text]}, and of a
 *            good one no more than the first.
 * Thread:    the worker's; runs Lua.
 */
char *testrun(const struct bundle_env *env, const struct proto_test *test,
    testrun_catalog_cb *catalog, void *cookie);

/* Wake the test that waits; ->wait is NULL then, or another one. */
void testrun_wake(struct testrun *run);

/* The mock that the test waits for. */
struct mock *testrun_awaited(const struct testrun *run);

/**
 * testing_open(L, run):
 * Push the module `testing`, and set ${run}->main_ref.
 *
 * Lua stack: [-0, +1, e]
 */
void testing_open(struct lua_State *L, struct testrun *run);

#endif /* !SCRIPT_TESTRUN_H_ */
