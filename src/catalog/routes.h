#ifndef CATALOG_ROUTES_H_
#define CATALOG_ROUTES_H_

/*
 * Which scripts get a delivery, and by which handler: an immutable snapshot
 * that is made anew whenever a script is loaded or goes, and shared between
 * threads by reference count.
 *
 * Floor: 2 (catalog).  May include base/.
 */

#include <stddef.h>

#include "base/str.h"

struct catalog;
struct catalog_resource;
struct routes;

/* One job to be made for a delivery. */
struct route {
	const char *script;
	const char *handler; /* The first that the script defines of those that
			      * the resource looks up. */
};

/* What a script offers. */
struct routes_script {
	const char *integration;
	const char *script;
	const char *const *handlers; /* Its global functions named on_*. */
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

#endif /* !CATALOG_ROUTES_H_ */
