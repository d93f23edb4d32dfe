#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/jdoc.h"

#include "catalog/asyncapi.h"
#include "catalog/catalog.h"

#include "catalog/shape.h"

/* Schemas may contain themselves: what is deeper is anything. */
#define MAX_DEPTH 12

/* More texts than that are no choice of a few. */
#define MAX_VALUES 40

struct shapes {
	struct arena arena;
	const struct catalog *catalog;
	const struct jval *root; /* Of the document that is read. */
};

static struct shape *read_schema(
    struct shapes *s, const struct jval *schema, unsigned int depth);

struct shapes *
shapes_create(const struct catalog *catalog)
{
	struct shapes *s = mem_zalloc(sizeof(*s));

	s->catalog = catalog;
	return s;
}

void
shapes_free(struct shapes *s)
{
	if (s == NULL)
		return;
	arena_free(&s->arena);
	free(s);
}

/* ---- parts ----------------------------------------------------------------
 */

static struct shape *
anything(struct shapes *s)
{
	struct shape *shape = arena_zalloc(&s->arena, sizeof(*shape));

	shape->types = SHAPE_ANY;
	return shape;
}

static int
compare(struct str a, const char *b)
{
	size_t len = strlen(b), n = a.len < len ? a.len : len;
	int c = n == 0 ? 0 : memcmp(a.data, b, n);

	return c != 0 ? c : a.len < len ? -1 : a.len > len;
}

/* Where a name is among the fields, or belongs. */
static size_t
find(const struct shape *shape, struct str name, int *ret_there)
{
	size_t low = 0, high = shape->nfields, middle;
	int c;

	*ret_there = 0;
	while (low < high) {
		middle = low + (high - low) / 2;
		c = compare(name, shape->fields[middle].name);
		if (c == 0) {
			*ret_there = 1;
			return middle;
		}
		if (c < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const struct shape_field *
shape_field(const struct shape *shape, struct str name)
{
	int there;
	size_t at = find(shape, name, &there);

	return there ? &shape->fields[at] : NULL;
}

/* The field of that name, made if it is new (its shape is NULL then). */
static struct shape_field *
field(struct shapes *s, struct shape *shape, struct str name)
{
	struct shape_field *fields;
	int there;
	size_t at = find(shape, name, &there);

	if (there)
		return &shape->fields[at];
	/* An arena gives nothing back: grow by powers of two. */
	if ((shape->nfields & (shape->nfields - 1)) == 0) {
		fields = arena_alloc(
		    &s->arena, (shape->nfields == 0 ? 1 : 2 * shape->nfields) *
				   sizeof(*fields));
		if (shape->nfields > 0)
			(void)memcpy(fields, shape->fields,
			    shape->nfields * sizeof(*fields));
		shape->fields = fields;
	}
	(void)memmove(&shape->fields[at + 1], &shape->fields[at],
	    (shape->nfields - at) * sizeof(*fields));
	shape->nfields++;
	shape->fields[at] = (struct shape_field){
	    arena_strndup(&s->arena, name.data, name.len), NULL, 0};
	return &shape->fields[at];
}

static int
has_value(const struct shape *shape, struct str value)
{
	size_t i;

	for (i = 0; i < shape->nvalues; i++)
		if (str_eq(str_of(shape->values[i]), value))
			return 1;
	return 0;
}

static void
add_value(struct shapes *s, struct shape *shape, struct str value)
{
	if (shape->values == NULL)
		shape->values =
		    arena_alloc(&s->arena, MAX_VALUES * sizeof(char *));
	if (shape->nvalues < MAX_VALUES && !has_value(shape, value))
		shape->values[shape->nvalues++] =
		    arena_strndup(&s->arena, value.data, value.len);
}

/* ---- together -------------------------------------------------------------
 */

static struct shape *combine(
    struct shapes *s, const struct shape *a, const struct shape *b, int either);

/* The fields of both. */
static void
combine_fields(struct shapes *s, struct shape *to, const struct shape *a,
    const struct shape *b, int either)
{
	const struct shape *of[] = {a, b};
	const struct shape_field *f, *other;
	struct shape_field *t;
	size_t i, k;

	for (i = 0; i < 2; i++) {
		for (k = 0; k < of[i]->nfields; k++) {
			f = &of[i]->fields[k];
			other = shape_field(of[1 - i], str_of(f->name));
			if (other != NULL && i == 1)
				continue;
			t = field(s, to, str_of(f->name));
			t->shape =
			    other == NULL
				? combine(s, f->shape, NULL, either)
				: combine(s, f->shape, other->shape, either);
			t->required = other == NULL ? f->required && !either
				      : either ? f->required && other->required
					       : f->required || other->required;
		}
	}
}

/* The texts that are allowed, where both (or one, if both must hold) say so. */
static void
combine_values(struct shapes *s, struct shape *to, const struct shape *a,
    const struct shape *b, int either)
{
	size_t i;

	if (either && (a->nvalues == 0 || b->nvalues == 0)) {
		/* What can be no text has no say. */
		if ((a->types & SHAPE_STRING) != 0 &&
		    (b->types & SHAPE_STRING) != 0)
			return;
	}
	for (i = 0; i < a->nvalues; i++)
		add_value(s, to, str_of(a->values[i]));
	for (i = 0; i < b->nvalues; i++)
		add_value(s, to, str_of(b->values[i]));
	if (to->nvalues == MAX_VALUES)
		to->nvalues = 0;
}

/* What is one of two, or both at once; NULL is nothing. */
static struct shape *
combine(
    struct shapes *s, const struct shape *a, const struct shape *b, int either)
{
	struct shape *to = arena_zalloc(&s->arena, sizeof(*to));
	int a_object, b_object;

	if (b == NULL) {
		*to = *a;
		to->fields = NULL;
		to->nfields = 0;
		combine_fields(s, to, a, &(struct shape){0}, 0);
		return to;
	}
	a_object = (a->types & SHAPE_OBJECT) != 0;
	b_object = (b->types & SHAPE_OBJECT) != 0;
	to->types = either ? a->types | b->types : a->types & b->types;
	if (!either) {
		to->listed = a->listed || b->listed;
		to->closed = a->closed || b->closed;
	} else {
		/* What can be no object has no say. */
		to->listed =
		    (!a_object || a->listed) && (!b_object || b->listed);
		to->closed =
		    (!a_object || a->closed) && (!b_object || b->closed);
	}
	to->about = a->about != NULL ? a->about : b->about;
	combine_fields(s, to, a, b, either);
	combine_values(s, to, a, b, either);
	if (a->items != NULL && b->items != NULL)
		to->items = combine(s, a->items, b->items, either);
	else if (!either || (a->types & b->types & SHAPE_ARRAY) == 0)
		to->items = a->items != NULL ? a->items : b->items;
	return to;
}

struct shape *
shapes_either(struct shapes *s, const struct shape *a, const struct shape *b)
{
	if (a == NULL || b == NULL)
		return combine(s, a == NULL ? b : a, NULL, 1);
	return combine(s, a, b, 1);
}

/* ---- schemas --------------------------------------------------------------
 */

static unsigned int
type_of_name(struct str name)
{
	static const char *const names[] = {"null", "boolean", "integer",
	    "number", "string", "array", "object"};
	size_t i;

	for (i = 0; i < NELEMS(names); i++)
		if (str_eq(name, str_of(names[i])))
			return 1U << i;
	return SHAPE_ANY;
}

static unsigned int
type_of_value(const struct jval *v)
{
	return type_of_name(str_of(jval_type_name(v)));
}

static unsigned int
read_types(const struct jval *schema)
{
	const struct jval *type = jdoc_gets(schema, "type"), *e;
	const struct jval *nullable = jdoc_gets(schema, "nullable");
	unsigned int types = 0;
	size_t i;

	if (type == NULL)
		return SHAPE_ANY;
	if (jval_kind(type) == JDOC_STRING)
		types = type_of_name(jval_str(type));
	else if (jval_kind(type) == JDOC_ARRAY)
		for (e = type + 1, i = 0; i < type->len; i++, e = jval_next(e))
			if (jval_kind(e) == JDOC_STRING)
				types |= type_of_name(jval_str(e));
	/* What may have a fraction need not. */
	if ((types & SHAPE_NUMBER) != 0)
		types |= SHAPE_INTEGER;
	if (nullable != NULL && jval_kind(nullable) == JDOC_TRUE)
		types |= SHAPE_NULL;
	return types;
}

/* enum, or const. */
static void
read_values(struct shapes *s, const struct jval *schema, struct shape *shape)
{
	const struct jval *list = jdoc_gets(schema, "enum"), *e;
	const struct jval *one = jdoc_gets(schema, "const");
	unsigned int types = 0;
	size_t i, n = 1;

	if (list != NULL && jval_kind(list) == JDOC_ARRAY)
		n = list->len;
	else if (one == NULL)
		return;
	e = list != NULL && jval_kind(list) == JDOC_ARRAY ? list + 1 : one;
	for (i = 0; i < n; i++, e = jval_next(e)) {
		types |= type_of_value(e);
		if (jval_kind(e) == JDOC_STRING)
			add_value(s, shape, jval_str(e));
	}
	shape->types &= types;
	if (n > MAX_VALUES)
		shape->nvalues = 0;
}

static int
is_false(const struct jval *v)
{
	return v != NULL && jval_kind(v) == JDOC_FALSE;
}

/* properties, required, and whether there is more. */
static void
read_fields(struct shapes *s, const struct jval *schema, struct shape *shape,
    unsigned int depth)
{
	const struct jval *properties = jdoc_gets(schema, "properties"), *e;
	const struct jval *required = jdoc_gets(schema, "required");
	const struct jval *more = jdoc_gets(schema, "additionalProperties");
	struct shape *of;
	size_t i;

	if (properties != NULL && jval_kind(properties) == JDOC_OBJECT) {
		for (e = properties + 1, i = 0; i < properties->len;
		     i++, e = jval_next(e + 1)) {
			of = read_schema(s, e + 1, depth);
			field(s, shape, jval_str(e))->shape = of;
		}
		shape->listed = properties->len > 0;
	}
	if (required != NULL && jval_kind(required) == JDOC_ARRAY) {
		for (e = required + 1, i = 0; i < required->len;
		     i++, e = jval_next(e)) {
			struct shape_field *f;

			if (jval_kind(e) != JDOC_STRING)
				continue;
			f = field(s, shape, jval_str(e));
			f->required = 1;
			if (f->shape == NULL)
				f->shape = anything(s);
		}
	}
	/* Said in so many words, there is more than is named. */
	if ((more != NULL && !is_false(more)) ||
	    jdoc_gets(schema, "patternProperties") != NULL)
		shape->listed = 0;
	else if (is_false(more))
		shape->listed = shape->closed = 1;
}

/* One of the schemas of a list. */
static struct shape *
read_choice(struct shapes *s, const struct jval *list, unsigned int depth)
{
	struct shape *all = NULL, *one;
	const struct jval *e;
	size_t i;

	for (e = list + 1, i = 0; i < list->len; i++, e = jval_next(e)) {
		one = read_schema(s, e, depth);
		all = all == NULL ? one : combine(s, all, one, 1);
	}
	return all == NULL ? anything(s) : all;
}

static struct shape *
read_schema(struct shapes *s, const struct jval *schema, unsigned int depth)
{
	static const char *const choices[] = {"anyOf", "oneOf"};
	struct shape *shape = anything(s);
	const struct jval *list, *e, *items;
	struct str about;
	size_t i;

	schema = asyncapi_resolve(s->root, schema);
	if (schema == NULL || jval_kind(schema) != JDOC_OBJECT ||
	    depth >= MAX_DEPTH)
		return shape;
	depth++;
	shape->types = read_types(schema);
	about = jdoc_get_str(schema, "description");
	if (about.len > 0)
		shape->about = arena_strndup(&s->arena, about.data, about.len);
	read_values(s, schema, shape);
	read_fields(s, schema, shape, depth);
	items = jdoc_gets(schema, "items");
	if (items != NULL && jval_kind(items) == JDOC_OBJECT)
		shape->items = read_schema(s, items, depth);
	list = jdoc_gets(schema, "allOf");
	if (list != NULL && jval_kind(list) == JDOC_ARRAY)
		for (e = list + 1, i = 0; i < list->len; i++, e = jval_next(e))
			shape = combine(s, shape, read_schema(s, e, depth), 0);
	for (i = 0; i < NELEMS(choices); i++) {
		list = jdoc_gets(schema, choices[i]);
		if (list != NULL && jval_kind(list) == JDOC_ARRAY)
			shape =
			    combine(s, shape, read_choice(s, list, depth), 0);
	}
	return shape;
}

/* ---- examples -------------------------------------------------------------
 */

/* Learn the names of a value; types are told by schemas where there are any. */
static void
learn(struct shapes *s, struct shape *shape, const struct jval *v,
    unsigned int depth)
{
	struct shape_field *f;
	const struct jval *e;
	size_t i;

	if (depth >= MAX_DEPTH)
		return;
	if (jval_kind(v) == JDOC_OBJECT && (shape->types & SHAPE_OBJECT)) {
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1)) {
			f = field(s, shape, jval_str(e));
			if (f->shape == NULL) {
				f->shape = anything(s);
				if (jval_kind(e + 1) != JDOC_NULL)
					f->shape->types = type_of_value(e + 1);
			}
			learn(s, f->shape, e + 1, depth + 1);
		}
	} else if (jval_kind(v) == JDOC_ARRAY && (shape->types & SHAPE_ARRAY)) {
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e)) {
			if (shape->items == NULL) {
				shape->items = anything(s);
				shape->items->types = type_of_value(e);
			}
			learn(s, shape->items, e, depth + 1);
		}
	}
}

static void
learn_examples(
    struct shapes *s, struct shape *shape, const struct jval *examples)
{
	const struct jval *e, *payload;
	size_t i;

	if (examples == NULL || jval_kind(examples) != JDOC_ARRAY)
		return;
	for (e = examples + 1, i = 0; i < examples->len;
	     i++, e = jval_next(e)) {
		payload = jdoc_gets(e, "payload");
		if (payload != NULL)
			learn(s, shape, payload, 0);
	}
}

struct shape *
shapes_of(struct shapes *s, const struct catalog_resource *resource)
{
	const struct catalog_message *messages;
	struct shape *all = NULL, *one;
	size_t i, n;

	messages = catalog_messages(s->catalog, resource, &n);
	for (i = 0; i < n; i++) {
		s->root = asyncapi_root(messages[i].document);
		one = messages[i].message->payload == NULL
			  ? anything(s)
			  : read_schema(s, messages[i].message->payload, 0);
		all = all == NULL ? one : combine(s, all, one, 1);
	}
	if (all == NULL)
		return anything(s);
	/* Parts may be shared: what is learnt is for this one alone. */
	all = combine(s, all, NULL, 1);
	for (i = 0; i < n; i++)
		learn_examples(s, all, messages[i].message->examples);
	return all;
}
