#ifndef CATALOG_SAMPLE_H_
#define CATALOG_SAMPLE_H_

/*
 * Bodies as Sentry would send them: made from a message's examples, or, where
 * it has none, from the schema of its payload.
 *
 * Ids and times are fresh in every sample.  Of an example, the UUIDs, the runs
 * of 32 hex digits and the numbers that the document lists as `x-fresh-ids` are
 * replaced, the same one always by the same one; times are moved so that the
 * latest of them is now.
 *
 * Floor: 2 (catalog).  May include base/, json/.
 */

#include "base/compiler.h"

struct asyncapi_message;
struct buf;
struct err;
struct jval;

/**
 * sample_has_example(message, action):
 * Whether an example of ${message} is of ${action} (NULL: any).
 */
int sample_has_example(
    const struct asyncapi_message *message, const char *action);

/**
 * sample_make(root, message, action, out, err):
 * Append a sample of ${message}, which stands in the document ${root}, with
 * ${action} as its `action` (NULL: whatever the schema says), as compact JSON
 * with characters beyond ASCII as \uXXXX, which is how Sentry writes it.
 *
 * Returns:   0, or -1 and ${out} is as it was.
 * Errors:    ERR_INVALID      the schema takes none of the samples that could
 *                             be made; the message says why.
 * Thread:    any.
 */
int sample_make(const struct jval *root, const struct asyncapi_message *message,
    const char *action, struct buf *out, struct err *err) ATTR_MUSTCHECK;

#endif /* !CATALOG_SAMPLE_H_ */
