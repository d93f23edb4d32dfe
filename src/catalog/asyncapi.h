#ifndef CATALOG_ASYNCAPI_H_
#define CATALOG_ASYNCAPI_H_

/*
 * One AsyncAPI 2.x document, read: which messages its channels carry, for which
 * resources, and what their bodies must look like.
 *
 * A message's resources are what its headers allow for `Sentry-Hook-Resource`;
 * where they say nothing, the channel's name is the resource.  Its actions are
 * what its payload allows for `action`.
 *
 * Floor: 2 (catalog).  May include base/, json/.
 */

#include <stddef.h>

#include "base/compiler.h"
#include "base/str.h"

struct asyncapi;
struct err;
struct jval;
struct schema;

/* One message on one channel. */
struct asyncapi_message {
	const char *channel;
	const char *const *resources; /* One at least. */
	size_t nresources;
	const char *const *actions;
	size_t nactions;
	const char *summary;         /* One line for a person; "" if none. */
	const struct jval *payload;  /* Its schema; NULL: anything goes. */
	const struct jval *examples; /* An array of AsyncAPI examples, or NULL.
				      */
	struct schema *schema;       /* Of the payload; NULL with it. */
};

/**
 * asyncapi_read(name, text, ret_doc, err):
 * Read the document ${text}, JSON or YAML; ${name} is what errors call it.
 *
 * Errors:    ERR_INVALID      neither JSON nor YAML, not AsyncAPI 2.x, a
 *                             reference that leads nowhere, a schema that is
 *                             none; the message names the document, the line
 *                             or JSON Pointer, and the reason;
 *            ERR_TOO_LARGE    nested too deep, or too large once its aliases
 *                             are expanded.
 * Ownership: borrows ${text}; the caller frees with asyncapi_free().
 * Thread:    any.  The result is immutable and may be read by every thread.
 */
int asyncapi_read(const char *name, struct str text, struct asyncapi **ret_doc,
    struct err *err) ATTR_MUSTCHECK;

void asyncapi_free(struct asyncapi *doc);

/* What it is called: "sentry-webhooks-live.yml", or the path of a file. */
const char *asyncapi_name(const struct asyncapi *doc);

/* The whole document, which references lead into. */
const struct jval *asyncapi_root(const struct asyncapi *doc);

/* Its messages, in the order of its channels. */
const struct asyncapi_message *asyncapi_messages(
    const struct asyncapi *doc, size_t *ret_n);

/**
 * asyncapi_resolve(root, v):
 * ${v}, or where its `$ref` leads within the document ${root}.
 *
 * Returns:   NULL if ${v} is NULL, if the reference leads nowhere or outside,
 *            or through too many others.
 */
const struct jval *asyncapi_resolve(
    const struct jval *root, const struct jval *v);

/**
 * asyncapi_property(root, schema, name):
 * The schema of the property ${name}: of ${schema} itself, or of a part of its
 * `allOf`, whatever references are between.
 *
 * Returns:   NULL if there is none.
 */
const struct jval *asyncapi_property(
    const struct jval *root, const struct jval *schema, const char *name);

#endif /* !CATALOG_ASYNCAPI_H_ */
