#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "json/jdoc.h"

#include "catalog/catalog.h"

#include "catalog/routes.h"

/* The jobs of one resource. */
struct wanted {
	const struct route *at; /* NULL: nobody wants it. */
	size_t n;
};

struct integration {
	const char *name;
	struct wanted *wanted; /* By the resource's index; one more for those
				* that no document knows. */
};

struct routes {
	atomic_uint refs;
	size_t nresources;
	struct integration *integrations; /* Sorted by name. */
	size_t n;
	struct arena arena; /* All the rest. */
};

static int
compare_integrations(const void *a, const void *b)
{
	const struct integration *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* The script's name for the first of ${wanted} that it defines, or NULL. */
static const char *
pick_handler(
    const struct routes_script *script, const char *const *wanted, size_t n)
{
	size_t i, k;

	for (i = 0; i < n; i++)
		for (k = 0; k < script->nhandlers; k++)
			if (strcmp(wanted[i], script->handlers[k]) == 0)
				return script->handlers[k];
	return NULL;
}

static void
add_job(struct routes *r, struct route *job, const char *script,
    const char *handler)
{
	job->script = arena_strndup(&r->arena, script, strlen(script));
	job->handler = arena_strndup(&r->arena, handler, strlen(handler));
}

/*
 * Collect the jobs of one integration for ${resource}, or for those that no
 * document knows (NULL).  An alert action's fire is a job of its own.
 */
static struct wanted
make_wanted(struct routes *r, const char *integration,
    const struct routes_script *scripts, size_t n,
    const struct catalog_resource *resource)
{
	static const char *const fire[] = {CATALOG_FIRE};
	struct wanted wanted = {NULL, 0};
	const char *const *handlers;
	struct route *jobs;
	const char *handler;
	size_t i, nhandlers;

	if (resource == NULL) {
		handlers = catalog_fallback_handlers(&nhandlers);
	} else {
		handlers = resource->handlers;
		nhandlers = resource->nhandlers;
	}
	jobs = mem_array(2 * n, sizeof(*jobs));
	for (i = 0; i < n; i++) {
		if (strcmp(scripts[i].integration, integration) != 0)
			continue;
		handler = pick_handler(&scripts[i], handlers, nhandlers);
		if (handler != NULL)
			add_job(
			    r, &jobs[wanted.n++], scripts[i].script, handler);
		if (resource != NULL && resource->fires &&
		    pick_handler(&scripts[i], fire, 1) != NULL)
			add_job(r, &jobs[wanted.n++], scripts[i].script,
			    CATALOG_FIRE);
	}
	if (wanted.n > 0) {
		wanted.at =
		    memcpy(arena_alloc(&r->arena, wanted.n * sizeof(*jobs)),
			jobs, wanted.n * sizeof(*jobs));
	}
	free(jobs);
	return wanted;
}

/* The place of an integration in the list, or NULL. */
static const struct integration *
find_integration(const struct routes *r, const char *name)
{
	size_t low = 0, high = r->n, mid;
	int order;

	while (low < high) {
		mid = low + (high - low) / 2;
		order = strcmp(name, r->integrations[mid].name);
		if (order == 0)
			return &r->integrations[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

struct routes *
routes_create(const struct catalog *catalog,
    const struct routes_script *scripts, size_t n)
{
	struct integration *one;
	struct routes *r;
	size_t i, k;

	r = mem_zalloc(sizeof(*r));
	atomic_init(&r->refs, 1);
	r->nresources = catalog_count(catalog);
	r->integrations =
	    arena_zalloc(&r->arena, (n + 1) * sizeof(*r->integrations));
	for (i = 0; i < n; i++) {
		for (k = 0; k < r->n; k++)
			if (strcmp(r->integrations[k].name,
				scripts[i].integration) == 0)
				break;
		if (k < r->n)
			continue;
		one = &r->integrations[r->n++];
		one->name = arena_strndup(&r->arena, scripts[i].integration,
		    strlen(scripts[i].integration));
		one->wanted = arena_zalloc(
		    &r->arena, (r->nresources + 1) * sizeof(*one->wanted));
		for (k = 0; k < r->nresources; k++)
			one->wanted[k] = make_wanted(
			    r, one->name, scripts, n, catalog_at(catalog, k));
		one->wanted[k] = make_wanted(r, one->name, scripts, n, NULL);
	}
	qsort(r->integrations, r->n, sizeof(*r->integrations),
	    compare_integrations);
	return r;
}

struct routes *
routes_ref(struct routes *r)
{
	(void)atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	return r;
}

void
routes_unref(struct routes *r)
{
	if (r == NULL ||
	    atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
		return;
	arena_free(&r->arena);
	free(r);
}

const struct route *
routes_find(const struct routes *r, const char *integration,
    const struct catalog_resource *resource, size_t *ret_n)
{
	const struct integration *one = find_integration(r, integration);
	const struct wanted *wanted;

	*ret_n = 0;
	if (one == NULL)
		return NULL;
	assert(resource == NULL || resource->index < r->nresources);
	wanted =
	    &one->wanted[resource == NULL ? r->nresources : resource->index];
	*ret_n = wanted->n;
	return wanted->at;
}

void
routes_order_key(const struct jval *root, struct buf *out)
{
	const struct jval *data = jdoc_gets(root, "data"), *id;
	struct str uuid = jdoc_get_str(jdoc_gets(root, "installation"), "uuid");

	id = jdoc_gets(jdoc_gets(data, "issue"), "id");
	if (id == NULL)
		id = jdoc_gets(jdoc_gets(data, "event"), "issue_id");
	if (id == NULL)
		id = jdoc_gets(jdoc_gets(data, "error"), "issue_id");
	if (id == NULL)
		id = jdoc_gets(data, "issue_id");
	if (id == NULL)
		return;
	if (jval_kind(id) == JDOC_STRING && id->len > 0) {
		buf_put(out, uuid.data, uuid.len);
		buf_putc(out, ':');
		buf_put(out, id->v.s, id->len);
	} else if (jval_kind(id) == JDOC_INT) {
		buf_put(out, uuid.data, uuid.len);
		buf_printf(out, ":%lld", (long long)id->v.i);
	}
}
