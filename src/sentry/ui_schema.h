#ifndef SENTRY_UI_SCHEMA_H_
#define SENTRY_UI_SCHEMA_H_

/*
 * The UI components that scripts have declared, as Sentry wants to hear of
 * them: the JSON for the Schema box of an integration.  What a script declared
 * was checked when it was loaded (lua/moonpost/ui.lua); other JSON makes a
 * schema of no use, and no harm.
 *
 * Floor: 3 (sentry).  May include base/, json/.
 */

#include <stddef.h>

#include "base/compiler.h"
#include "base/str.h"

struct buf;
struct err;

/* A script of the integration. */
struct ui_script {
	const char *chunk;    /* "scripts/page.lua" */
	const char *declared; /* As in struct proto_loaded; NULL: nothing. */
};

/**
 * ui_schema(scripts, n, prefix, out):
 * Append the schema, indented, for components that are served under ${prefix}:
 * "" or "/i/NAME".
 *
 * Returns:   how many components there are; 0, and nothing is appended: none.
 */
size_t ui_schema(const struct ui_script *scripts, size_t n, const char *prefix,
    struct buf *out);

/**
 * ui_conflict(script, others, n, err):
 * Whether ${script} declares what one of ${others} does, of which an
 * integration has one: a component, an options list.
 *
 * Returns:   0, or -1 and ${err} names both files.
 * Errors:    ERR_INVALID
 */
int ui_conflict(const struct ui_script *script, const struct ui_script *others,
    size_t n, struct err *err) ATTR_MUSTCHECK;

/* Whether a script that declared that answers ${route}:
 * "alert-rule-action", "issue-link/create", "issue-link/link",
 * "stacktrace-link", "options/NAME". */
int ui_serves(const char *declared, struct str route);

#endif /* !SENTRY_UI_SCHEMA_H_ */
