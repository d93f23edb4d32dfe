#ifndef LINT_LINT_H_
#define LINT_LINT_H_

/*
 * A reader of Lua 5.4 source that runs nothing: it finds the misspelt names
 * that Lua itself finds only when a handler stumbles over them.
 *
 * Floor: 2 (lint).  May include base/, json/, catalog/.
 */

#include <stddef.h>

#include "base/str.h"

/* Nesting of blocks, functions and expressions; Lua's own limit is 200. */
#define LINT_MAX_DEPTH 200

/* Local names that are visible at one place; Lua's limit is 200 a function. */
#define LINT_MAX_LOCALS 4000

/* One source is not told more often than this what is wrong with it. */
#define LINT_MAX_REPORTS 100

struct lint_events;

/* The names that are good. */
struct lint_known {
	const char *const *globals; /* There before the script runs; also those
				     * in a table: "http", "http.get". */
	size_t globals_n;
	const char *const *handlers; /* That the host calls: on_issue, ... */
	size_t handlers_n;
	struct lint_events *events; /* What they get, lint_event.h; NULL: its
				     * fields are not looked at. */
};

/* One finding, in the order of the source; ${column} counts bytes from 1,
 * ${code} is "undefined-global", "unknown-handler", "unknown-field" or
 * "unknown-value". */
typedef void lint_report_cb(void *cookie, unsigned int line,
    unsigned int column, const char *code, const char *message);

/* One global that a source assigns to. */
typedef void lint_global_cb(void *cookie, struct str name);

/**
 * lint_check(source, known, report, cookie):
 * Report each use of a global that nobody has defined: it is not in ${known},
 * and ${source} does not assign to it; and each global on_* that ${source}
 * defines though the host never calls it; each field of a module that is not
 * there; and each field of a handler's event that no payload has, or that is
 * compared with text that it never is.  Only the
 * first parameter is followed, and locals that are made from it and never
 * change; a field that the source assigns to somewhere is good everywhere.
 *
 * Of a source that hands _G to somebody no global is reported as undefined, as
 * that may define any.  Nothing at all is reported of one with an _ENV of its
 * own, and if ${source} is not Lua: Lua says so better.
 *
 * Ownership: borrows all; messages live as long as the call of ${report}.
 * Thread:    any.
 */
void lint_check(struct str source, const struct lint_known *known,
    lint_report_cb *report, void *cookie);

/**
 * lint_globals(source, found, cookie):
 * Name each global that ${source} assigns to, once and sorted, so that those of
 * a required file can be known in another.
 *
 * Ownership: borrows all; the names are in ${source}.
 * Thread:    any.
 */
void lint_globals(struct str source, lint_global_cb *found, void *cookie);

#endif /* !LINT_LINT_H_ */
