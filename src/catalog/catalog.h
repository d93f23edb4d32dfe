#ifndef CATALOG_CATALOG_H_
#define CATALOG_CATALOG_H_

/*
 * What Sentry can send: read from AsyncAPI 2.6 documents, two of which are
 * built in (the published one, and the live one: what real Sentry sends).
 * Validators, the look-up of handlers, samples and editor types come from here;
 * nothing elsewhere knows a resource by name.
 *
 * A catalogue is immutable once it is open, and may be read by every thread.
 *
 * Floor: 2 (catalog).  May include base/, json/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

/* The handler that is an alert action's `fire`: no global function, and beside
 * whatever on_* the script has for the same delivery. */
#define CATALOG_FIRE "alert_action.fire"

/* What ends an OAuth flow in a browser: a delivery of that resource and
 * channel, for that handler of the script that began it. */
#define CATALOG_OAUTH "oauth"
#define CATALOG_ON_OAUTH "on_oauth"

struct asyncapi;
struct asyncapi_message;
struct buf;
struct catalog;
struct err;
struct jdoc;

/* One value of Sentry-Hook-Resource. */
struct catalog_resource {
	const char *name;            /* "issue" */
	const char *channel;         /* "issue": of the live document, where it
				      * has the resource, else of the other. */
	const char *const *channels; /* All, the published document's first. */
	size_t nchannels;
	const char *const *actions; /* "created", ...; of all documents. */
	size_t nactions;
	const char *const *handlers; /* Looked up in this order: "on_issue",
				      * "on_event". */
	size_t nhandlers;
	int fires;           /* It is an alert: CATALOG_FIRE is called, too. */
	const char *summary; /* One line for a person; "" if none. */
	size_t index;        /* Its place in the catalogue, from 0. */
};

/* One message that a document has for a resource. */
struct catalog_message {
	const struct asyncapi *document;        /* See asyncapi_name(). */
	const struct asyncapi_message *message; /* Its schema and examples. */
};

/* Why a body was refused. */
struct catalog_violation {
	char pointer[512]; /* JSON Pointer; "" is the whole body. */
	char message[512]; /* What was expected there, and what was found. */
};

/**
 * catalog_open(files, nfiles, ret_catalog, err):
 * Read the built-in documents and the ${nfiles} AsyncAPI documents (YAML or
 * JSON) at ${files}.
 *
 * Errors:    ERR_NOT_FOUND    a file is not there;
 *            ERR_UNAVAILABLE  it cannot be read;
 *            ERR_INVALID      not AsyncAPI 2.x, or a schema that is none; the
 *                             message names file, place and reason;
 *            ERR_TOO_LARGE    a file beyond 4 MiB, nested too deep, or with
 *                             aliases that make it too large.
 * Ownership: the caller frees with catalog_free().
 * Thread:    any; reads files.
 */
int catalog_open(const char *const *files, size_t nfiles,
    struct catalog **ret_catalog, struct err *err) ATTR_MUSTCHECK;

void catalog_free(struct catalog *catalog);

/* A number that is another when the text of any of the documents is. */
uint64_t catalog_fingerprint(const struct catalog *catalog);

/* How many resources there are, and each of them, sorted by channel and name.
 */
size_t catalog_count(const struct catalog *catalog);
const struct catalog_resource *catalog_at(
    const struct catalog *catalog, size_t index);

/* The resource with that name, or NULL. */
const struct catalog_resource *catalog_find(
    const struct catalog *catalog, struct str name);

/* The messages of a resource, in the order in which they are asked: those of
 * the live document, of the published one, of the files. */
const struct catalog_message *catalog_messages(const struct catalog *catalog,
    const struct catalog_resource *resource, size_t *ret_n);

/* The handlers of a resource that no document knows: "on_event". */
const char *const *catalog_fallback_handlers(size_t *ret_n);

/* Every handler name that some resource looks up; for spelling suggestions. */
const char *const *catalog_handler_names(
    const struct catalog *catalog, size_t *ret_n);

/**
 * catalog_check(catalog, resource, body, ret_violation):
 * Check a body: valid if the message of any document for its resource accepts
 * it.  Of several refusals that of the document which came closest is told: the
 * one with the fewest faults; among equals the one that knows most of the
 * members that are there, then the deepest, then the live document's.
 *
 * Returns:   0 if it is valid, or -1 and ${ret_violation} says why not.
 * Thread:    any.
 */
int catalog_check(const struct catalog *catalog,
    const struct catalog_resource *resource, const struct jdoc *body,
    struct catalog_violation *ret_violation) ATTR_MUSTCHECK;

/**
 * catalog_sample(catalog, event, out, err):
 * Append a realistic body for ${event} ("issue.created") as compact JSON.  The
 * same event gives the same sample but for its ids and times, which are fresh.
 * A resource whose documents name no actions is asked for by its name alone.
 *
 * Returns:   0, or -1 and ${out} is as it was.
 * Errors:    ERR_NOT_FOUND    no such resource or action; the message suggests
 *                             the closest one;
 *            ERR_INVALID      a document of the user has a schema for which no
 *                             sample could be made.
 * Thread:    any.
 */
int catalog_sample(const struct catalog *catalog, const char *event,
    struct buf *out, struct err *err) ATTR_MUSTCHECK;

#endif /* !CATALOG_CATALOG_H_ */
