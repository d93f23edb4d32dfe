#ifndef CLI_CHECK_LINT_H_
#define CLI_CHECK_LINT_H_

/*
 * Misspelt names in a folder of scripts: the linter, told what a script finds
 * in a worker, what its libs define, and what the catalogue knows of handlers
 * and payloads.
 *
 * Floor: 7 (cli).  May include everything.
 */

#include <stddef.h>

#include "base/compiler.h"

struct catalog;
struct cmd_unsafe;
struct err;
struct remote;
struct source;

/* Something that was found, all borrowed. */
struct check_finding {
	const char *file;
	size_t line;
	size_t column;
	const char *code; /* As lint_report_cb has it; a literal. */
	const char *message;
};

typedef void check_lint_cb(void *cookie, const struct check_finding *found);

/**
 * check_lint(source, remote, unsafe, catalog, found, cookie, err):
 * Look at every script and every lib of ${source}.
 *
 * Errors:    those of remote_load(): the worker could not say what it presets.
 * Ownership: borrows everything.
 * Thread:    that of ${remote}; blocks.
 */
int check_lint(const struct source *source, struct remote *remote,
    struct cmd_unsafe *unsafe, const struct catalog *catalog,
    check_lint_cb *found, void *cookie, struct err *err) ATTR_MUSTCHECK;

#endif /* !CLI_CHECK_LINT_H_ */
