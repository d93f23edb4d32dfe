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

#include "base/compiler.h"
#include "base/str.h"

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
	const char *summary; /* One line for a person; "" if none. */
	size_t index;        /* Its place in the catalogue, from 0. */
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
 *            ERR_INVALID      not AsyncAPI 2.x, or a schema that is none; the
 *                             message names file, place and reason.
 * Ownership: the caller frees with catalog_free().
 * Thread:    any; reads files.
 */
int catalog_open(const char *const *files, size_t nfiles,
    struct catalog **ret_catalog, struct err *err) ATTR_MUSTCHECK;

void catalog_free(struct catalog *catalog);

/* How many resources there are, and each of them, sorted by channel and name.
 */
size_t catalog_count(const struct catalog *catalog);
const struct catalog_resource *catalog_at(
    const struct catalog *catalog, size_t index);

/* The resource with that name, or NULL. */
const struct catalog_resource *catalog_find(
    const struct catalog *catalog, struct str name);

/* The handlers of a resource that no document knows: "on_event". */
const char *const *catalog_fallback_handlers(size_t *ret_n);

/* Every handler name that some resource looks up; for spelling suggestions. */
const char *const *catalog_handler_names(
    const struct catalog *catalog, size_t *ret_n);

/**
 * catalog_check(catalog, resource, body, ret_violation):
 * Check a body: valid if the message of any document for its resource accepts
 * it.  Of several refusals the deepest is told, as that is the document which
 * came closest.
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
 *
 * Errors:    ERR_NOT_FOUND    no such resource or action; the message suggests
 *                             the closest one.
 * Thread:    any.
 */
int catalog_sample(const struct catalog *catalog, const char *event,
    struct buf *out, struct err *err) ATTR_MUSTCHECK;

#endif /* !CATALOG_CATALOG_H_ */
