#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "base/str.h"

#include "catalog/catalog.h"
#include "catalog/shape.h"

#include "lint/lint_event.h"

/* Fields that are compared with a misspelt one. */
#define MAX_CANDIDATES 1000

/* As lua/meta/event.d.lua has them, its methods last. */
const char *const lint_event_fields[] = {"id", "resource", "channel", "action",
    "integration", "installation", "request_id", "received_at", "timestamp",
    "attempt", "headers", "data", "actor", "error", "payload", "warnings",
    "retry", "drop", NULL};

static const char *const methods[] = {"retry", "drop"};

struct lint_events {
	struct arena arena;
	const struct catalog *catalog;
	struct shapes *shapes;
	struct lint_value *known; /* By catalog_handler_names(), and one more;
				   * those that were asked for. */
};

static const struct lint_value unknown;

struct lint_events *
lint_events_create(const struct catalog *catalog)
{
	struct lint_events *e = mem_zalloc(sizeof(*e));
	size_t n;

	e->catalog = catalog;
	e->shapes = shapes_create(catalog);
	(void)catalog_handler_names(catalog, &n);
	e->known = mem_zalloc((n + 1) * sizeof(*e->known));
	return e;
}

void
lint_events_free(struct lint_events *e)
{
	if (e == NULL)
		return;
	shapes_free(e->shapes);
	arena_free(&e->arena);
	free(e->known);
	free(e);
}

/* ---- the event of a handler ------------------------------------------------
 */

static int
has_handler(const struct catalog_resource *resource, const char *handler)
{
	size_t i;

	for (i = 0; i < resource->nhandlers; i++)
		if (strcmp(resource->handlers[i], handler) == 0)
			return 1;
	return 0;
}

static int
is_fallback(const char *handler)
{
	const char *const *names;
	size_t i, n;

	names = catalog_fallback_handlers(&n);
	for (i = 0; i < n; i++)
		if (strcmp(names[i], handler) == 0)
			return 1;
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	const struct shape_field *f = a, *g = b;

	return strcmp(f->name, g->name);
}

/* What is known of a field of the event, given the body. */
static struct shape *
event_field(struct lint_events *e, const struct shape *body, const char *name)
{
	static const char *const copied[] = {
	    "data", "actor", "installation", "action"};
	struct shape *open = arena_zalloc(&e->arena, sizeof(*open));
	const struct shape_field *f, *g, *data;
	size_t i;

	open->types = SHAPE_ANY;
	if (body == NULL)
		return open;
	for (i = 0; i < NELEMS(copied); i++) {
		f = shape_field(body, str_of(copied[i]));
		if (strcmp(name, copied[i]) == 0 && f != NULL)
			return f->shape;
	}
	data = shape_field(body, STR("data"));
	if (strcmp(name, "error") == 0 && data != NULL) {
		f = shape_field(data->shape, STR("error"));
		g = shape_field(data->shape, STR("event"));
		if (f != NULL || g != NULL)
			return shapes_either(e->shapes,
			    f == NULL ? NULL : f->shape,
			    g == NULL ? NULL : g->shape);
	}
	if (strcmp(name, "payload") == 0)
		return shapes_either(e->shapes, body, NULL);
	return open;
}

/* The event around a body (NULL: nothing is known of that). */
static const struct shape *
make_event(struct lint_events *e, const struct shape *body)
{
	struct shape *event = arena_zalloc(&e->arena, sizeof(*event));
	size_t n = NELEMS(lint_event_fields) - 1, i;

	event->types = SHAPE_OBJECT;
	event->listed = 1;
	event->closed = 1;
	event->nfields = n;
	event->fields = arena_zalloc(&e->arena, n * sizeof(*event->fields));
	for (i = 0; i < n; i++)
		event->fields[i] = (struct shape_field){lint_event_fields[i],
		    event_field(e, body, lint_event_fields[i]), 1};
	qsort(event->fields, n, sizeof(*event->fields), by_name);
	return event;
}

/* 'a', 'b' or 'c' */
static const char *
name_all(struct lint_events *e, const char *const *names, size_t n)
{
	struct buf text = BUF_INIT;
	const char *kept;
	size_t i;

	for (i = 0; i < n; i++)
		buf_printf(&text, "%s'%s'",
		    i == 0       ? ""
		    : i + 1 == n ? " or "
				 : ", ",
		    names[i]);
	kept = arena_strndup(&e->arena, buf_text(&text), text.len);
	buf_free(&text);
	return kept;
}

static struct lint_value
make_value(struct lint_events *e, const char *handler)
{
	size_t i, n = 0, count = catalog_count(e->catalog);
	const char **names = mem_array(count + 1, sizeof(*names));
	const struct catalog_resource *resource;
	struct lint_value value = {.path = ""};
	struct shape *body = NULL;

	for (i = 0; i < count; i++) {
		resource = catalog_at(e->catalog, i);
		if (!has_handler(resource, handler))
			continue;
		names[n++] = resource->name;
		body = shapes_either(
		    e->shapes, body, shapes_of(e->shapes, resource));
	}
	/* A fallback gets what no document knows, too. */
	value.shape = make_event(e, is_fallback(handler) ? NULL : body);
	value.whose = name_all(e, names, n);
	free(names);
	return value;
}

/* The event of a schedule: lua/meta/schedule.d.lua */
static struct lint_value
make_schedule(struct lint_events *e)
{
	static const struct {
		const char *name;
		unsigned int types;
	} fields[] = {{"due_at", SHAPE_INTEGER}, {"missed", SHAPE_INTEGER},
	    {"name", SHAPE_STRING}};
	struct shape *body = arena_zalloc(&e->arena, 2 * sizeof(*body));
	struct shape *data = body + 1, *of;
	struct shape_field *f;
	size_t i;

	body->types = data->types = SHAPE_OBJECT;
	data->listed = data->closed = 1;
	f = arena_zalloc(&e->arena, (1 + NELEMS(fields)) * sizeof(*f));
	body->fields = f;
	body->nfields = 1;
	f[0] = (struct shape_field){"data", data, 1};
	data->fields = f + 1;
	data->nfields = NELEMS(fields);
	for (i = 0; i < NELEMS(fields); i++) {
		of = arena_zalloc(&e->arena, sizeof(*of));
		of->types = fields[i].types;
		data->fields[i] = (struct shape_field){fields[i].name, of, 1};
	}
	return (struct lint_value){make_event(e, body), "", "a schedule", 0};
}

struct lint_value
lint_event_of(struct lint_events *e, struct str handler)
{
	const char *const *names;
	size_t i, n;

	if (e == NULL)
		return unknown;
	names = catalog_handler_names(e->catalog, &n);
	if (str_eq(handler, STR(LINT_SCHEDULE))) {
		/* The row behind those of the handlers. */
		if (e->known[n].shape == NULL)
			e->known[n] = make_schedule(e);
		return e->known[n];
	}
	for (i = 0; i < n; i++) {
		if (!str_eq(handler, str_of(names[i])))
			continue;
		if (e->known[i].shape == NULL)
			e->known[i] = make_value(e, names[i]);
		return e->known[i];
	}
	return unknown;
}

/* ---- fields -----------------------------------------------------------------
 */

static const char *
closest_field(const struct shape *shape, struct str name)
{
	const char **names = mem_array(shape->nfields + 1, sizeof(*names));
	char *text = mem_strndup(name.data, name.len);
	const char *closest;
	size_t i, n;

	n = shape->nfields < MAX_CANDIDATES ? shape->nfields : MAX_CANDIDATES;
	for (i = 0; i < n; i++)
		names[i] = shape->fields[i].name;
	closest = str_closest(text, names, n);
	free(text);
	free(names);
	return closest;
}

/* Say that no payload has it, where that is sure, or looks like a slip. */
static void
tell_unknown(
    const struct lint_value *value, struct str name, struct buf *message)
{
	const char *closest = closest_field(value->shape, name);
	int len = name.len < 100 ? (int)name.len : 100;

	if (closest == NULL && !value->sure && !value->shape->closed)
		return;
	if (value->path[0] == '\0')
		buf_printf(message, "an event has no '%.*s'", len, name.data);
	else
		buf_printf(message, "no payload of %s has '%s.%.*s'",
		    value->whose, value->path, len, name.data);
	if (closest != NULL)
		buf_printf(message, ", did you mean '%s'?", closest);
}

/* Whether the fields of a value can be told good from bad. */
static int
is_judged(const struct shape *shape)
{
	/* Text has methods, and an array numbers. */
	return shape->listed && (shape->types & SHAPE_OBJECT) != 0 &&
	       (shape->types & (SHAPE_STRING | SHAPE_ARRAY)) == 0;
}

struct lint_value
lint_event_field(struct lint_events *e, struct lint_value value,
    struct str name, struct buf *message)
{
	const struct shape_field *f;
	struct lint_value of = value;
	struct buf path = BUF_INIT;

	if (value.shape == NULL)
		return unknown;
	f = shape_field(value.shape, name);
	if (f == NULL) {
		if (is_judged(value.shape))
			tell_unknown(&value, name, message);
		return unknown;
	}
	buf_printf(&path, "%s%s%.*s", value.path,
	    value.path[0] == '\0' ? "" : ".", (int)name.len, name.data);
	of.shape = f->shape;
	of.path = arena_strndup(&e->arena, buf_text(&path), path.len);
	of.sure = strcmp(of.path, "data") == 0 ||
		  strcmp(of.path, "payload.data") == 0;
	buf_free(&path);
	return of;
}

void
lint_event_compare(
    struct lint_value value, struct str text, struct buf *message)
{
	const struct shape *shape = value.shape;
	const char *closest;
	char *name;
	size_t i;

	if (shape == NULL || shape->nvalues == 0 || text.len > 100 ||
	    (shape->types & ~(unsigned int)SHAPE_NULL) != SHAPE_STRING)
		return;
	for (i = 0; i < shape->nvalues; i++)
		if (str_eq(text, str_of(shape->values[i])))
			return;
	name = mem_strndup(text.data, text.len);
	closest = str_closest(name, shape->values, shape->nvalues);
	buf_printf(message, "'%s' is never '%s' in a payload of %s", value.path,
	    name, value.whose);
	if (closest != NULL)
		buf_printf(message, ", did you mean '%s'?", closest);
	for (i = 0; closest == NULL && i < shape->nvalues; i++)
		buf_printf(message, "%s'%s'",
		    i == 0                    ? ": it is "
		    : i + 1 == shape->nvalues ? " or "
					      : ", ",
		    shape->values[i]);
	free(name);
}

struct lint_value
lint_event_items(struct lint_events *e, struct lint_value value)
{
	struct lint_value of = value;
	struct buf path = BUF_INIT;

	if (value.shape == NULL || value.shape->items == NULL)
		return unknown;
	buf_printf(&path, "%s[]", value.path);
	of.shape = value.shape->items;
	of.path = arena_strndup(&e->arena, buf_text(&path), path.len);
	of.sure = 0;
	buf_free(&path);
	return of;
}

void
lint_event_method(struct lint_value value, struct str name, struct buf *message)
{
	char *text;
	const char *closest;
	size_t i;

	if (value.shape == NULL || value.path[0] != '\0')
		return;
	for (i = 0; i < NELEMS(methods); i++)
		if (str_eq(name, str_of(methods[i])))
			return;
	text = mem_strndup(name.data, name.len < 100 ? name.len : 100);
	closest = str_closest(text, methods, NELEMS(methods));
	buf_printf(message, "an event has no method '%s'", text);
	if (closest != NULL)
		buf_printf(message, ", did you mean '%s'?", closest);
	free(text);
}

struct lint_value
lint_event_either(
    struct lint_events *e, struct lint_value a, struct lint_value b)
{
	struct lint_value value = a;

	if (e == NULL || a.shape == NULL || b.shape == NULL ||
	    strcmp(a.whose, b.whose) != 0)
		return unknown;
	value.shape = shapes_either(e->shapes, a.shape, b.shape);
	value.sure = a.sure && b.sure;
	return value;
}
