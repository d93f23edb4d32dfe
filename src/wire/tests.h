#ifndef WIRE_TESTS_H_
#define WIRE_TESTS_H_

/*
 * The tests in a folder of scripts: which there are, and running one, each by a
 * worker (wire/remote).
 *
 * Floor: 3 (wire).  May include base/, json/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

struct err;
struct remote;
struct source;
struct source_file;

/* What a worker gives a test of the machine's time, and what it is itself given
 * for that, should it not be able to tell. */
#define TESTS_WALL_MS 10000
#define TESTS_DEADLINE_MS 15000

/* One test. */
struct tests_entry {
	const struct source_file *file; /* Borrowed from the snapshot. */
	char *name;                     /* NULL: it is about the file. */
	unsigned int line;              /* Where it begins; 0: unknown. */
	char *error; /* NULL; or why there is nothing to run: a failure. */
};

/* All zero is an empty one. */
struct tests {
	struct tests_entry *v;
	size_t n;
	size_t cap;
};

/* What NAME_test adds to NAME. */
#define TESTS_SUFFIX "_test"

/* Whether the file of tests ${name} ("on_issue_test") is that of ${script}. */
int tests_are_of(const char *name, struct str script);

/**
 * tests_scan(path, ret_source, err):
 * Read the folder ${path}, or, if that is one file of tests, the folder that it
 * is in.
 *
 * Errors:    as source_scan(), and ERR_INVALID: a file that is not
 * NAME_test.lua. Ownership: the caller has one reference.
 */
int tests_scan(const char *path, struct source **ret_source,
    struct err *err) ATTR_MUSTCHECK;

/**
 * tests_list(remote, source, path, only, ret_tests, err):
 * List the tests of ${source}: of the file ${path} if that is one, and those
 * with ${only} in their name if that is not NULL.  A file that does not load,
 * or has no test, is one that fails.
 *
 * Errors:    ERR_UNAVAILABLE  no worker can be started.
 * Ownership: the caller frees with tests_clear(); keeps ${source}.
 * Thread:    that of ${remote}; blocks.
 */
int tests_list(struct remote *remote, const struct source *source,
    const char *path, const char *only, struct tests *ret_tests,
    struct err *err) ATTR_MUSTCHECK;

/**
 * tests_take(tests, file, json, only):
 * Add to ${tests} what a worker has answered to the question which there are in
 * ${file}, as tests_list() does.
 */
void tests_take(struct tests *tests, const struct source_file *file,
    const char *json, const char *only);

/**
 * tests_failure(json):
 * What a worker has answered about a test that was run: why it failed.
 *
 * Ownership: the caller frees with free(); NULL: it has passed.
 */
char *tests_failure(const char *json);

/**
 * tests_run(remote, source, entry, ret_json, err):
 * Run one, which has no error.
 *
 * Returns:   0, and *${ret_json} is {"ok","message","traceback","notes"}.
 * Errors:    those of remote_test(): all but ERR_UNAVAILABLE are the test's
 *            failure.
 * Ownership: the caller frees *${ret_json} with free().
 * Thread:    that of ${remote}; blocks.
 */
int tests_run(struct remote *remote, const struct source *source,
    const struct tests_entry *entry, char **ret_json,
    struct err *err) ATTR_MUSTCHECK;

void tests_clear(struct tests *tests);

#endif /* !WIRE_TESTS_H_ */
