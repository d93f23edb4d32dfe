#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/err.h"
#include "catalog/catalog.h"
#include "catalog/shape.h"

#include "unit/scratch.h"

static struct catalog *catalog;
static struct shapes *shapes;
static struct scratch scratch;

static void
open_with(const char *const *files, size_t n)
{
	struct err err = ERR_INIT;

	cr_assert_eq(catalog_open(files, n, &catalog, &err), 0, "%s", err.msg);
	shapes = shapes_create(catalog);
}

static void
setup(void)
{
	scratch_make(&scratch);
}

static void
teardown(void)
{
	shapes_free(shapes);
	catalog_free(catalog);
	scratch_clear(&scratch);
}

TestSuite(shape, .init = setup, .fini = teardown);

/* What is at a path of names with dots between ("[]": the items), or NULL. */
static const struct shape *
at(const struct shape *shape, const char *path)
{
	const struct shape_field *f;
	size_t n;

	for (; *path != '\0'; path += n + (path[n] == '.')) {
		n = strcspn(path, ".");
		if (n == 2 && memcmp(path, "[]", 2) == 0) {
			shape = shape->items;
			if (shape == NULL)
				return NULL;
			continue;
		}
		f = shape_field(shape, (struct str){path, n});
		if (f == NULL)
			return NULL;
		shape = f->shape;
	}
	return shape;
}

static const struct shape *
of(const char *resource)
{
	const struct catalog_resource *r =
	    catalog_find(catalog, str_of(resource));

	cr_assert_not_null(r, "%s", resource);
	return shapes_of(shapes, r);
}

static int
has_value(const struct shape *shape, const char *value)
{
	size_t i;

	for (i = 0; i < shape->nvalues; i++)
		if (strcmp(shape->values[i], value) == 0)
			return 1;
	return 0;
}

Test(shape, draws_both_documents_together)
{
	const struct shape *issue;

	open_with(NULL, 0);
	issue = of("issue");
	cr_assert(issue->listed);
	cr_assert(at(issue, "data.issue")->listed);
	cr_assert_eq(at(issue, "data.issue.title")->types, SHAPE_STRING);
	cr_assert(has_value(at(issue, "action"), "created"));
	cr_assert(has_value(at(issue, "data.issue.level"), "fatal"));
	cr_assert(at(issue, "data.issue.logger")->types & SHAPE_NULL);
	cr_assert_null(at(issue, "data.isue"));
	cr_assert_eq(shape_field(issue, STR("action"))->required, 1);
	cr_assert_eq(shape_field(issue, STR("actor"))->required, 0);
	/* A number in one document, text in the other. */
	cr_assert(at(issue, "data.issue.id")->types & SHAPE_STRING);
	/* Of the examples alone: known, but not all that there is. */
	cr_assert_not_null(at(issue, "data.issue.metadata.filename"));
	cr_assert_not(at(issue, "data.issue.metadata")->listed);
	cr_assert_not_null(
	    at(of("error"), "data.error.exception.values.[].stacktrace.frames."
			    "[].lineno"));
	/* The same for the event, whichever way it came. */
	cr_assert_not_null(at(of("event_alert"), "data.event.tags.[].[]"));
}

Test(shape, either_knows_what_both_know)
{
	const struct shape *alerts = NULL;

	open_with(NULL, 0);
	alerts = shapes_either(shapes, alerts, of("event_alert"));
	alerts = shapes_either(shapes, alerts, of("metric_alert"));
	cr_assert_not_null(at(alerts, "data.event"));
	cr_assert_not_null(at(alerts, "data.metric_alert.alert_rule.name"));
	cr_assert(has_value(at(alerts, "action"), "triggered"));
	cr_assert(has_value(at(alerts, "action"), "critical"));
	cr_assert(at(alerts, "data")->listed);
}

#define DOCUMENT                                                               \
	"asyncapi: 2.6.0\n"                                                    \
	"info: {title: t, version: '1'}\n"                                     \
	"channels:\n"                                                          \
	"  deploy:\n"                                                          \
	"    subscribe:\n"                                                     \
	"      message:\n"                                                     \
	"        payload:\n"                                                   \
	"          allOf: [{$ref: '#/components/schemas/A'}]\n"                \
	"          type: object\n"                                             \
	"          properties:\n"                                              \
	"            open: {type: object, additionalProperties: true,"         \
	" properties: {x: {}}}\n"                                              \
	"            closed: {type: object, additionalProperties: false}\n"    \
	"            one: {const: 7}\n"                                        \
	"            number: {type: number}\n"                                 \
	"            maybe: {oneOf: [{type: object, properties: {a: {}}},"     \
	" {type: object, properties: {b: {type: string}}}, {type: 'null'}]}\n" \
	"            unsure: {anyOf: [{type: object, properties: {a: {}}},"    \
	" {type: object}]}\n"                                                  \
	"            self: {$ref: '#/components/schemas/A'}\n"                 \
	"components:\n"                                                        \
	"  schemas:\n"                                                         \
	"    A:\n"                                                             \
	"      type: object\n"                                                 \
	"      required: [self, other]\n"                                      \
	"      properties:\n"                                                  \
	"        self: {$ref: '#/components/schemas/A'}\n"                     \
	"        enumerated: {type: string, enum: [x, y]}\n"

Test(shape, reads_every_keyword_that_names_something)
{
	const char *path = scratch_path(&scratch, "deploy.yml");
	const struct shape *s;
	char *copy = strdup(path);
	const char *files[] = {copy};

	scratch_write(&scratch, "deploy.yml", DOCUMENT);
	open_with(files, 1);
	free(copy);
	s = of("deploy");
	cr_assert(s->listed);
	cr_assert_not(at(s, "open")->listed);
	cr_assert_not_null(at(s, "open.x"));
	cr_assert(at(s, "closed")->listed);
	cr_assert_eq(at(s, "one")->types, SHAPE_INTEGER);
	cr_assert(at(s, "number")->types & SHAPE_NUMBER);
	cr_assert(at(s, "maybe")->listed);
	cr_assert_not_null(at(s, "maybe.a"));
	cr_assert_eq(at(s, "maybe.b")->types, SHAPE_STRING);
	cr_assert_eq(
	    at(s, "maybe")->types, (unsigned int)(SHAPE_OBJECT | SHAPE_NULL));
	cr_assert_not(at(s, "unsure")->listed);
	cr_assert(shape_field(s, STR("self"))->required);
	cr_assert(shape_field(s, STR("other"))->required);
	/* What contains itself comes to an end. */
	cr_assert_not_null(at(s, "self.self.self.enumerated"));
	cr_assert_eq(at(s, "self.enumerated")->nvalues, 2);
}
