#ifndef CATALOG_ROUTES_H_
#define CATALOG_ROUTES_H_

/*
 * Which scripts get a delivery, and by which handler: an immutable snapshot
 * that is made anew whenever a script is loaded or goes, and shared between
 * threads by reference count.
 *
 * Floor: 2 (catalog).  May include base/, json/.
 */

#include <stddef.h>

#include "base/str.h"

struct buf;
struct catalog;
struct catalog_resource;
struct jval;
struct routes;

/* One job to be made for a delivery. */
struct route {
	const char *script;
	const char *handler; /* The first that the script defines of those that
			      * the resource looks up; or CATALOG_FIRE. */
};

/* What a script offers. */
struct routes_script {
	const char *integration;
	const char *script;
	const char *const *handlers; /* Its global functions named on_*,
				      * and CATALOG_FIRE. */
	size_t nhandlers;
};

/**
 * routes_create(catalog, scripts, n):
 * Make the snapshot of ${n} scripts.
 *
 * Ownership: borrows everything; the caller has one reference, and gives it up
 *            with routes_unref().
 * Thread:    any.
 */
struct routes *routes_create(const struct catalog *catalog,
    const struct routes_script *scripts, size_t n);

struct routes *routes_ref(struct routes *routes);
void routes_unref(struct routes *routes);

/**
 * routes_find(routes, integration, resource, ret_n):
 * The jobs for a delivery of ${resource} (NULL: one that no document knows).
 *
 * Returns:   *${ret_n} of them, NULL if nobody wants it.
 * Ownership: valid while the caller has its reference.
 * Thread:    any.
 */
const struct route *routes_find(const struct routes *routes,
    const char *integration, const struct catalog_resource *resource,
    size_t *ret_n);

/**
 * routes_order_key(root, out):
 * Append the ordering key of the delivery whose body is ${root}: installation
 * and issue, so that what is about one issue stays in order.  Nothing if it is
 * about none.
 *
 * Thread:    any.
 */
void routes_order_key(const struct jval *root, struct buf *out);

#endif /* !CATALOG_ROUTES_H_ */
