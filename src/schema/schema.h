#ifndef SCHEMA_SCHEMA_H_
#define SCHEMA_SCHEMA_H_

/*
 * JSON Schema draft-07 (with `nullable`, as OpenAPI has it), compiled once and
 * checked over a parsed document.  All keywords of the official draft-07 suite
 * but remote references; `format` is asserted for date-time, date, time, uri,
 * email, uuid, ipv4, ipv6 and hostname; `pattern` runs in PCRE2 under a match
 * limit.
 *
 * Floor: 2 (schema).  May include base/, json/.
 */

#include <stddef.h>

#include "base/compiler.h"

struct err;
struct jval;
struct schema;

/* Where and why a document was refused. */
struct schema_violation {
	char pointer[512];   /* JSON Pointer of the deepest refusal. */
	char message[512];   /* "must be string, is integer" and the like. */
	unsigned int depth;  /* Parts of the pointer. */
	unsigned int faults; /* How many there are; UINT_MAX: it gave up. */
};

/**
 * schema_compile(root, at, ret_schema, err):
 * Compile the schema ${at}, a value within the document ${root}; references
 * (`$ref`) are resolved within ${root}, by JSON Pointer or by `$id`.
 *
 * The meta-schema of draft-07 is known by its URI; nothing else outside is.
 *
 * Errors:    ERR_INVALID      a keyword's value is not what it must be, a
 *                             pattern does not compile, a reference leads
 *                             nowhere or outside, a schema applies itself to
 *                             the same value without end; the message has the
 *                             pointer of the place.
 * Ownership: ${root} is borrowed, the schema keeps nothing of it; the caller
 *            frees with schema_free().
 * Thread:    any.  The result is immutable and may be read by every thread.
 */
int schema_compile(const struct jval *root, const struct jval *at,
    struct schema **ret_schema, struct err *err) ATTR_MUSTCHECK;

void schema_free(struct schema *schema);

/**
 * schema_check(schema, value, ret_violation):
 * Check ${value}.  Of several faults the one at the deepest place is told; on a
 * tie the first.  What is missing or not allowed has a place as well: the one
 * where it would be, or is.
 *
 * The work is bounded, in proportion to the value's size: what would take more,
 * or a pattern that backtracks too much, is refused with a message that says
 * so. A valid value costs no allocation, save for patterns and `uniqueItems`.
 *
 * Returns:   0 if it is valid; -1 if not, and ${ret_violation} (may be NULL)
 *            says where and why.
 * Thread:    any; needs up to 1.5 MiB of its stack.
 */
int schema_check(const struct schema *schema, const struct jval *value,
    struct schema_violation *ret_violation) ATTR_MUSTCHECK;

#endif /* !SCHEMA_SCHEMA_H_ */
