#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "base/str.h"

#include "catalog/catalog.h"
#include "catalog/shape.h"

#include "cli/types_payloads.h"

#define HEAD                                                                   \
	"---@meta\n"                                                           \
	"-- What Sentry sends, and the handlers that get it. Types for\n"      \
	"-- lua-language-server, never loaded at run time. Made by `moonpost " \
	"types` from the\n"                                                    \
	"-- catalogue: a field with a question mark need not be there, and "   \
	"Sentry may send\n"                                                    \
	"-- more than it has written down.\n"

/* ---- types ----------------------------------------------------------------
 */

static void put_type(
    struct buf *out, const struct shape *shape, const char *class_name);

static int
is_identifier(const char *name)
{
	static const char *const reserved[] = {"and", "break", "do", "else",
	    "elseif", "end", "false", "for", "function", "goto", "if", "in",
	    "local", "nil", "not", "or", "repeat", "return", "then", "true",
	    "until", "while"};
	const char *p;
	size_t i;

	for (p = name; *p != '\0'; p++) {
		if (!(*p == '_' || (*p >= 'a' && *p <= 'z') ||
			(*p >= 'A' && *p <= 'Z') ||
			(p > name && *p >= '0' && *p <= '9')))
			return 0;
	}
	for (i = 0; i < NELEMS(reserved); i++)
		if (strcmp(name, reserved[i]) == 0)
			return 0;
	return p > name;
}

/* The name of a class in a class; what is no letter becomes '_'. */
static char *
class_of(const char *outer, const char *name)
{
	char *text = mem_printf("%s.%s", outer, name), *p;

	for (p = text + strlen(outer) + 1; *p != '\0'; p++)
		if (!(*p == '_' || (*p >= 'a' && *p <= 'z') ||
			(*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9')))
			*p = '_';
	return text;
}

static void
put_or(struct buf *out, size_t from)
{
	if (out->len > from)
		buf_putc(out, '|');
}

static void
put_text(struct buf *out, size_t from, const struct shape *shape)
{
	size_t i;

	if (shape->nvalues == 0) {
		put_or(out, from);
		buf_puts(out, "string");
	}
	for (i = 0; i < shape->nvalues; i++) {
		put_or(out, from);
		str_put_json(out, str_of(shape->values[i]));
	}
}

static void
put_array(struct buf *out, const struct shape *shape, const char *class_name)
{
	struct buf item = BUF_INIT;

	if (shape->items == NULL)
		buf_puts(&item, "any");
	else
		put_type(&item, shape->items, class_name);
	buf_printf(out,
	    strchr(buf_text(&item), '|') != NULL ? "(%s)[]" : "%s[]",
	    buf_text(&item));
	buf_free(&item);
}

/* The type of a value; ${class_name} is what its class would be called. */
static void
put_type(struct buf *out, const struct shape *shape, const char *class_name)
{
	size_t from = out->len;

	if (shape->types == SHAPE_ANY && shape->nfields == 0) {
		buf_puts(out, "any");
		return;
	}
	if ((shape->types & SHAPE_OBJECT) != 0)
		buf_puts(out,
		    shape->nfields > 0 ? class_name : "table<string, any>");
	if (shape->types == SHAPE_ANY)
		return;
	if ((shape->types & SHAPE_ARRAY) != 0) {
		put_or(out, from);
		put_array(out, shape, class_name);
	}
	if ((shape->types & SHAPE_STRING) != 0)
		put_text(out, from, shape);
	if ((shape->types & (SHAPE_NUMBER | SHAPE_INTEGER)) != 0) {
		put_or(out, from);
		buf_puts(out,
		    (shape->types & SHAPE_NUMBER) != 0 ? "number" : "integer");
	}
	if ((shape->types & SHAPE_BOOLEAN) != 0) {
		put_or(out, from);
		buf_puts(out, "boolean");
	}
	if ((shape->types & SHAPE_NULL) != 0) {
		put_or(out, from);
		buf_puts(out, "json.null");
	}
	if (out->len == from)
		buf_puts(out, "any");
}

/* ---- classes --------------------------------------------------------------
 */

/* In one line. */
static void
put_about(struct buf *out, const char *about)
{
	const char *p;

	for (p = about; *p != '\0'; p++) {
		if (*p == '\n' || *p == '\r')
			buf_putc(out, ' ');
		else
			buf_putc(out, *p);
	}
}

static void
put_field(struct buf *out, const struct shape_field *f, const char *class_name)
{
	buf_puts(out, "---@field ");
	if (is_identifier(f->name)) {
		buf_puts(out, f->name);
	} else {
		buf_putc(out, '[');
		str_put_json(out, str_of(f->name));
		buf_putc(out, ']');
	}
	buf_puts(out, f->required ? " " : "? ");
	put_type(out, f->shape, class_name);
	if (f->shape->about != NULL) {
		buf_putc(out, ' ');
		put_about(out, f->shape->about);
	}
	buf_putc(out, '\n');
}

/* The shape whose fields a value of ${shape} has: its own, or of its items. */
static const struct shape *
inner(const struct shape *shape)
{
	while (shape->nfields == 0 && shape->items != NULL)
		shape = shape->items;
	return shape;
}

/* A class, and those of what is in it. */
static void
put_class(struct buf *out, const struct shape *shape, const char *name)
{
	const struct shape *in;
	char *class_name;
	size_t i;

	buf_puts(out, "\n");
	if (shape->about != NULL) {
		buf_puts(out, "---");
		put_about(out, shape->about);
		buf_putc(out, '\n');
	}
	buf_printf(out, "---@class %s\n", name);
	for (i = 0; i < shape->nfields; i++) {
		class_name = class_of(name, shape->fields[i].name);
		put_field(out, &shape->fields[i], class_name);
		free(class_name);
	}
	for (i = 0; i < shape->nfields; i++) {
		in = inner(shape->fields[i].shape);
		if (in->nfields == 0)
			continue;
		class_name = class_of(name, shape->fields[i].name);
		put_class(out, in, class_name);
		free(class_name);
	}
}

/* A field of the event that is a field of the body. */
static void
put_event_field(struct buf *out, const struct shape *body, const char *name,
    const char *body_class)
{
	const struct shape_field *f = shape_field(body, str_of(name));
	char *class_name;

	if (f == NULL)
		return;
	class_name = class_of(body_class, name);
	put_field(out, f, class_name);
	free(class_name);
}

/* event.error: data.error, or data.event. */
static void
put_event_error(
    struct buf *out, const struct shape *body, const char *body_class)
{
	static const char *const names[] = {"error", "event"};
	const struct shape_field *data = shape_field(body, STR("data")), *f;
	struct buf type = BUF_INIT;
	size_t i;

	for (i = 0; data != NULL && i < NELEMS(names); i++) {
		f = shape_field(data->shape, str_of(names[i]));
		if (f == NULL || f->shape->nfields == 0 ||
		    (f->shape->types & SHAPE_OBJECT) == 0)
			continue;
		put_or(&type, 0);
		buf_printf(&type, "%s.data.%s", body_class, names[i]);
	}
	if (type.len > 0)
		buf_printf(out, "---@field error? %s\n", buf_text(&type));
	buf_free(&type);
}

static void
put_resource(struct buf *out, struct shapes *shapes,
    const struct catalog_resource *resource)
{
	static const char *const copied[] = {
	    "action", "actor", "data", "installation"};
	const struct shape *body = shapes_of(shapes, resource);
	char *name = class_of("moonpost", resource->name);
	char *event = class_of("moonpost.event", resource->name);
	size_t i;

	buf_putc(out, '\n');
	if (resource->summary[0] != '\0') {
		buf_puts(out, "---");
		put_about(out, resource->summary);
		buf_putc(out, '\n');
	}
	buf_printf(out, "---@class %s: event\n", event);
	for (i = 0; i < NELEMS(copied); i++)
		put_event_field(out, body, copied[i], name);
	put_event_error(out, body, name);
	buf_printf(out, "---@field payload %s\n", name);
	put_class(out, body, name);
	free(event);
	free(name);
}

/* ---- handlers -------------------------------------------------------------
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

static void
put_handler(struct buf *out, const struct catalog *catalog, const char *handler)
{
	struct buf type = BUF_INIT, list = BUF_INIT;
	const struct catalog_resource *resource;
	char *event;
	size_t i;

	for (i = 0; i < catalog_count(catalog); i++) {
		resource = catalog_at(catalog, i);
		if (!has_handler(resource, handler))
			continue;
		event = class_of("moonpost.event", resource->name);
		put_or(&type, 0);
		buf_puts(&type, event);
		buf_printf(
		    &list, "%s`%s`", list.len > 0 ? ", " : "", resource->name);
		free(event);
	}
	/* It gets what no document knows, too. */
	if (is_fallback(handler))
		buf_printf(out,
		    "\n---Called for what no other handler of the script is "
		    "for.\n---@type fun(event: event)\n%s = nil\n",
		    handler);
	else
		buf_printf(out,
		    "\n---Called for %s.\n---@type fun(event: %s)\n%s = nil\n",
		    buf_text(&list), buf_text(&type), handler);
	buf_free(&type);
	buf_free(&list);
}

void
types_put_payloads(const struct catalog *catalog, struct buf *out)
{
	struct shapes *shapes = shapes_create(catalog);
	const char *const *handlers;
	size_t i, n;

	buf_puts(out, HEAD);
	handlers = catalog_handler_names(catalog, &n);
	for (i = 0; i < n; i++)
		put_handler(out, catalog, handlers[i]);
	for (i = 0; i < catalog_count(catalog); i++)
		put_resource(out, shapes, catalog_at(catalog, i));
	shapes_free(shapes);
}
