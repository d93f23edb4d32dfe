#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "schema/schema_internal.h"

struct keyword {
	const char *name;
	int (*compile)(struct schema_compiler *c, struct schema_draft *d,
	    const struct keyword *kw, const struct jval *v);
	size_t offset; /* Of the field that is set, where there is one. */
};

/* ---- pieces -------------------------------------------------------------- */

#define FAIL(c, at, ...)                                                       \
	schema_index_fail((c)->index, (at), (c)->err, __VA_ARGS__)

static int
get_nodes(struct schema_compiler *c, const struct jval *v,
    const struct schema_node ***ret_nodes, size_t *ret_n)
{
	const struct schema_node **nodes;
	const struct jval *e;
	uint32_t i;

	nodes = arena_zalloc(c->arena, (v->len + 1) * sizeof(*nodes));
	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e)) {
		if (schema_compiler_node(c, e, &nodes[i]) == -1)
			return -1;
	}
	*ret_nodes = nodes;
	*ret_n = v->len;
	return 0;
}

static struct str
copy_str(struct schema_compiler *c, const struct jval *v)
{
	struct str s = jval_str(v);

	return (struct str){
	    arena_strndup(c->arena, s.data != NULL ? s.data : "", s.len),
	    s.len};
}

/* A copy of ${v} and all that it holds, strings too. */
static const struct jval *
copy_value(struct schema_compiler *c, const struct jval *v)
{
	size_t n = (size_t)(jval_next(v) - v), i;
	struct jval *copy = arena_alloc(c->arena, n * sizeof(*copy));

	memcpy(copy, v, n * sizeof(*copy));
	for (i = 0; i < n; i++) {
		if (jval_kind(&copy[i]) == JDOC_STRING)
			copy[i].v.s = copy_str(c, &copy[i]).data;
	}
	return copy;
}

/* An array of strings of which no two are the same. */
static int
get_names(
    struct schema_compiler *c, const struct jval *v, struct schema_keys *ret)
{
	struct schema_keys keys = {.n = v->len};
	const struct jval *e;
	uint32_t i;

	keys.names = arena_zalloc(c->arena, (v->len + 1) * sizeof(*keys.names));
	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e)) {
		if (jval_kind(e) != JDOC_STRING)
			return schema_compiler_refuse(
			    c, e, "a string: a member's name");
		keys.names[i] = copy_str(c, e);
	}
	schema_keys_build(&keys, c->arena);
	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e)) {
		if (schema_keys_find(&keys, keys.names[i]) != i)
			return FAIL(
			    c, e, "\"%s\" is named twice", keys.names[i].data);
	}
	*ret = keys;
	return 0;
}

static int
get_pattern(struct schema_compiler *c, const struct jval *v,
    const struct schema_pattern **ret_pattern)
{
	struct schema_pattern *pattern;
	struct buf shown = BUF_INIT;
	struct schema *s = c->schema;
	struct err why = ERR_INIT;

	pattern = arena_zalloc(c->arena, sizeof(*pattern));
	pattern->text = copy_str(c, v);
	if (schema_pattern_compile(pattern, &why) == -1) {
		schema_put_value(&shown, v);
		(void)FAIL(c, v, "%s is not a regular expression: %s",
		    buf_text(&shown), why.msg);
		buf_free(&shown);
		return -1;
	}
	s->patterns = mem_grow(s->patterns, &s->patterns_cap, s->npatterns + 1,
	    sizeof(struct schema_pattern *));
	s->patterns[s->npatterns++] = pattern;
	*ret_pattern = pattern;
	return 0;
}

static struct schema_number *
need_number(struct schema_compiler *c, struct schema_draft *d)
{
	if (d->number == NULL)
		d->number = arena_zalloc(c->arena, sizeof(*d->number));
	d->node->number = d->number;
	return d->number;
}

static struct schema_string *
need_string(struct schema_compiler *c, struct schema_draft *d)
{
	if (d->string == NULL) {
		d->string = arena_zalloc(c->arena, sizeof(*d->string));
		d->string->max_length = UINT64_MAX;
	}
	d->node->string = d->string;
	return d->string;
}

static struct schema_array *
need_array(struct schema_compiler *c, struct schema_draft *d)
{
	if (d->array == NULL) {
		d->array = arena_zalloc(c->arena, sizeof(*d->array));
		d->array->max_items = UINT64_MAX;
	}
	d->node->array = d->array;
	return d->array;
}

static struct schema_object *
need_object(struct schema_compiler *c, struct schema_draft *d)
{
	if (d->object == NULL) {
		d->object = arena_zalloc(c->arena, sizeof(*d->object));
		d->object->max_properties = UINT64_MAX;
	}
	d->node->object = d->object;
	return d->object;
}

static struct schema_logic *
need_logic(struct schema_compiler *c, struct schema_draft *d)
{
	if (d->logic == NULL)
		d->logic = arena_zalloc(c->arena, sizeof(*d->logic));
	d->node->logic = d->logic;
	return d->logic;
}

static void *
field(void *base, size_t offset)
{
	return (char *)base + offset;
}

/* ---- keywords ------------------------------------------------------------ */

static int
add_type(
    struct schema_compiler *c, struct schema_draft *d, const struct jval *v)
{
	static const struct {
		const char *name;
		uint32_t kinds;
	} types[] = {
	    {"array", SCHEMA_KIND(JDOC_ARRAY)},
	    {"boolean", SCHEMA_KINDS_BOOLEAN},
	    {"integer", SCHEMA_KINDS_INTEGER},
	    {"null", SCHEMA_KIND(JDOC_NULL)},
	    {"number", SCHEMA_KINDS_NUMBER},
	    {"object", SCHEMA_KIND(JDOC_OBJECT)},
	    {"string", SCHEMA_KIND(JDOC_STRING)},
	};
	const char *names[NELEMS(types)], *closest;
	struct buf shown = BUF_INIT;
	size_t i;

	if (jval_kind(v) != JDOC_STRING)
		return schema_compiler_refuse(c, v, "the name of a type");
	for (i = 0; i < NELEMS(types); i++) {
		if (str_eq(jval_str(v), str_of(types[i].name))) {
			d->node->kinds |= types[i].kinds;
			return 0;
		}
		names[i] = types[i].name;
	}
	schema_put_value(&shown, v);
	closest = str_closest(copy_str(c, v).data, names, NELEMS(names));
	if (closest != NULL)
		(void)FAIL(c, v, "%s is not a type; did you mean \"%s\"?",
		    buf_text(&shown), closest);
	else
		(void)FAIL(c, v,
		    "%s is not a type: those are array, boolean, integer, "
		    "null, number, object, string",
		    buf_text(&shown));
	buf_free(&shown);
	return -1;
}

static int
compile_type(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	const struct jval *e;
	uint32_t i;

	(void)kw;
	d->node->kinds = 0;
	if (jval_kind(v) != JDOC_ARRAY)
		return add_type(c, d, v);
	if (v->len == 0)
		return FAIL(c, v, "must name one type at least");
	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e)) {
		if (add_type(c, d, e) == -1)
			return -1;
	}
	return 0;
}

static int
compile_nullable(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	(void)kw;
	if (jval_kind(v) != JDOC_TRUE && jval_kind(v) != JDOC_FALSE)
		return schema_compiler_refuse(c, v, "a boolean");
	d->node->nullable = jval_kind(v) == JDOC_TRUE;
	return 0;
}

/* `enum` and `const`; ${v} is the first of ${n} values. */
static const struct schema_values *
get_values(struct schema_compiler *c, const struct jval *v, size_t n)
{
	struct schema_values *values = arena_zalloc(c->arena, sizeof(*values));
	size_t i;

	values->values = arena_zalloc(c->arena, (n + 1) * sizeof(v));
	values->strings.names =
	    arena_zalloc(c->arena, (n + 1) * sizeof(struct str));
	for (i = 0; i < n; i++, v = jval_next(v)) {
		values->values[values->n++] = copy_value(c, v);
		if (jval_kind(v) == JDOC_STRING)
			values->strings.names[values->strings.n++] =
			    jval_str(values->values[i]);
		else
			values->nothers++;
	}
	schema_keys_build(&values->strings, c->arena);
	return values;
}

static int
compile_enum(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	(void)kw;
	if (jval_kind(v) != JDOC_ARRAY)
		return schema_compiler_refuse(c, v, "an array of values");
	d->node->values = get_values(c, v + 1, v->len);
	return 0;
}

static int
compile_const(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	(void)kw;
	d->node->constant = get_values(c, v, 1);
	return 0;
}

static int
compile_limit(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	const struct jval **slot;

	if (jval_kind(v) == JDOC_TRUE || jval_kind(v) == JDOC_FALSE)
		return FAIL(c, v,
		    "must be a number, is a boolean (which it was in draft 4)");
	if (!jval_is_number(v))
		return schema_compiler_refuse(c, v, "a number");
	slot = field(need_number(c, d), kw->offset);
	*slot = copy_value(c, v);
	return 0;
}

static int
compile_multiple(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	if (!jval_is_number(v) || !(jval_double(v) > 0))
		return schema_compiler_refuse(c, v, "a number above 0");
	if (compile_limit(c, d, kw, v) == -1)
		return -1;
	d->number->multiple = schema_decimal_of(v);
	return 0;
}

/* A whole number, not negative; "2.0" is one. */
static int
get_count(struct schema_compiler *c, const struct jval *v, uint64_t *ret)
{
	if (jval_kind(v) == JDOC_REAL && v->v.d >= 0 &&
	    floor(v->v.d) == v->v.d) {
		*ret = v->v.d < 0x1p63 ? (uint64_t)v->v.d : UINT64_MAX;
		return 0;
	}
	if (jval_kind(v) == JDOC_UINT ||
	    (jval_kind(v) == JDOC_INT && v->v.i >= 0)) {
		*ret = v->v.u;
		return 0;
	}
	return schema_compiler_refuse(c, v, "a whole number, 0 or more");
}

static int
compile_length(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	return get_count(c, v, field(need_string(c, d), kw->offset));
}

static int
compile_items_count(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	return get_count(c, v, field(need_array(c, d), kw->offset));
}

static int
compile_properties_count(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	return get_count(c, v, field(need_object(c, d), kw->offset));
}

static int
compile_pattern(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	(void)kw;
	if (jval_kind(v) != JDOC_STRING)
		return schema_compiler_refuse(
		    c, v, "a string: a regular expression");
	return get_pattern(c, v, &need_string(c, d)->pattern);
}

static int
compile_format(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	enum schema_format format;

	(void)kw;
	if (jval_kind(v) != JDOC_STRING)
		return schema_compiler_refuse(
		    c, v, "a string: a format's name");
	format = schema_format_find(jval_str(v));
	if (format != SCHEMA_FORMAT_NONE)
		need_string(c, d)->format = format;
	return 0;
}

static int
compile_items(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	struct schema_array *a = need_array(c, d);

	(void)kw;
	if (jval_kind(v) == JDOC_ARRAY)
		return get_nodes(c, v, &a->tuple, &a->ntuple);
	return schema_compiler_node(c, v, &a->rest);
}

/* Counts only behind `items` that is an array. */
static int
compile_additional_items(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	const struct jval *items = jdoc_gets(d->at, "items");
	const struct schema_node *node;

	(void)kw;
	if (schema_compiler_node(c, v, &node) == -1)
		return -1;
	if (items != NULL && jval_kind(items) == JDOC_ARRAY)
		need_array(c, d)->rest = node;
	return 0;
}

static int
compile_unique(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	(void)kw;
	if (jval_kind(v) != JDOC_TRUE && jval_kind(v) != JDOC_FALSE)
		return schema_compiler_refuse(c, v, "a boolean");
	if (jval_kind(v) == JDOC_TRUE)
		need_array(c, d)->unique = 1;
	return 0;
}

/* One schema, for arrays, objects or the value itself. */
static int
compile_array_schema(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	return schema_compiler_node(c, v, field(need_array(c, d), kw->offset));
}

static int
compile_object_schema(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	return schema_compiler_node(c, v, field(need_object(c, d), kw->offset));
}

static int
compile_logic_schema(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	return schema_compiler_node(c, v, field(need_logic(c, d), kw->offset));
}

static int
compile_logic_list(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	struct schema_list *list = field(need_logic(c, d), kw->offset);

	if (jval_kind(v) != JDOC_ARRAY || v->len == 0)
		return schema_compiler_refuse(
		    c, v, "an array of one schema or more");
	return get_nodes(c, v, &list->nodes, &list->n);
}

static int
compile_definitions(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	const struct schema_node *node;
	const struct jval *e;
	uint32_t i;

	(void)d;
	(void)kw;
	if (jval_kind(v) != JDOC_OBJECT)
		return schema_compiler_refuse(c, v, "an object of schemas");
	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1)) {
		if (schema_compiler_node(c, e + 1, &node) == -1)
			return -1;
	}
	return 0;
}

/* The names of `properties`, each with its schema. */
static int
compile_properties(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	struct schema_object *o = need_object(c, d);
	const struct jval *e;
	size_t n;

	(void)kw;
	if (jval_kind(v) != JDOC_OBJECT)
		return schema_compiler_refuse(c, v, "an object of schemas");
	n = v->len;
	o->keys.names = arena_zalloc(c->arena, (n + 1) * sizeof(struct str));
	o->members = arena_zalloc(c->arena, (n + 1) * sizeof(*o->members));
	for (e = v + 1; o->keys.n < n; o->keys.n++, e = jval_next(e + 1)) {
		o->keys.names[o->keys.n] = copy_str(c, e);
		if (schema_compiler_node(
			c, e + 1, &o->members[o->keys.n].node) == -1)
			return -1;
	}
	schema_keys_build(&o->keys, c->arena);
	return 0;
}

/* Comes behind compile_properties(): its names are joined to those. */
static int
compile_required(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	struct schema_keys names, all;
	struct schema_member *members;
	struct schema_object *o;
	size_t i, place;

	(void)kw;
	if (jval_kind(v) == JDOC_TRUE || jval_kind(v) == JDOC_FALSE)
		return FAIL(c, v,
		    "must be an array of names, beside \"properties\", is a "
		    "boolean (which it was in draft 3)");
	if (jval_kind(v) != JDOC_ARRAY)
		return schema_compiler_refuse(c, v, "an array of names");
	if (get_names(c, v, &names) == -1)
		return -1;
	if (names.n == 0)
		return 0;
	o = need_object(c, d);
	o->required = names.names;
	o->nrequired = names.n;

	/* Names in `properties`, then those that are only here. */
	all = (struct schema_keys){.n = o->keys.n};
	all.names =
	    arena_zalloc(c->arena, (all.n + names.n) * sizeof(struct str));
	members = arena_zalloc(c->arena, (all.n + names.n) * sizeof(*members));
	for (i = 0; i < o->keys.n; i++) {
		all.names[i] = o->keys.names[i];
		members[i] = o->members[i];
	}
	for (i = 0; i < names.n; i++) {
		place = schema_keys_find(&o->keys, names.names[i]);
		if (place == SIZE_MAX) {
			place = all.n++;
			all.names[place] = names.names[i];
		}
		if (i < 64) {
			members[place].bit = (uint64_t)1 << i;
			o->required_bits |= members[place].bit;
		}
	}
	schema_keys_build(&all, c->arena);
	o->keys = all;
	o->members = members;
	return 0;
}

static int
compile_pattern_properties(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	struct schema_object *o = need_object(c, d);
	struct schema_pattern_member *p;
	const struct jval *e;
	size_t n;

	(void)kw;
	if (jval_kind(v) != JDOC_OBJECT)
		return schema_compiler_refuse(c, v, "an object of schemas");
	n = v->len;
	o->patterns = arena_zalloc(c->arena, (n + 1) * sizeof(*o->patterns));
	for (e = v + 1; o->npatterns < n; e = jval_next(e + 1)) {
		p = &o->patterns[o->npatterns++];
		if (get_pattern(c, e, &p->pattern) == -1 ||
		    schema_compiler_node(c, e + 1, &p->node) == -1)
			return -1;
	}
	return 0;
}

static int
compile_dependencies(struct schema_compiler *c, struct schema_draft *d,
    const struct keyword *kw, const struct jval *v)
{
	struct schema_object *o = need_object(c, d);
	struct schema_dependency *dep;
	struct schema_keys names;
	const struct jval *e;
	size_t n;

	(void)kw;
	if (jval_kind(v) != JDOC_OBJECT)
		return schema_compiler_refuse(
		    c, v, "an object of schemas and arrays of names");
	n = v->len;
	o->dependencies =
	    arena_zalloc(c->arena, (n + 1) * sizeof(*o->dependencies));
	for (e = v + 1; o->ndependencies < n; e = jval_next(e + 1)) {
		dep = &o->dependencies[o->ndependencies++];
		dep->name = copy_str(c, e);
		if (jval_kind(e + 1) == JDOC_ARRAY) {
			if (get_names(c, e + 1, &names) == -1)
				return -1;
			dep->needs = names.names;
			dep->nneeds = names.n;
		} else if (schema_compiler_node(c, e + 1, &dep->node) == -1) {
			return -1;
		}
	}
	return 0;
}

#define NUMBER(f) offsetof(struct schema_number, f)
#define STRING(f) offsetof(struct schema_string, f)
#define ARRAY(f) offsetof(struct schema_array, f)
#define OBJECT(f) offsetof(struct schema_object, f)
#define LOGIC(f) offsetof(struct schema_logic, f)

/* In the order of compiling; `required` needs `properties`.  Any other keyword
 * is an annotation. */
static const struct keyword keywords[] = {
    {"type", compile_type, 0},
    {"nullable", compile_nullable, 0},
    {"enum", compile_enum, 0},
    {"const", compile_const, 0},
    {"multipleOf", compile_multiple, NUMBER(multiple_of)},
    {"maximum", compile_limit, NUMBER(maximum)},
    {"exclusiveMaximum", compile_limit, NUMBER(exclusive_maximum)},
    {"minimum", compile_limit, NUMBER(minimum)},
    {"exclusiveMinimum", compile_limit, NUMBER(exclusive_minimum)},
    {"maxLength", compile_length, STRING(max_length)},
    {"minLength", compile_length, STRING(min_length)},
    {"pattern", compile_pattern, 0},
    {"format", compile_format, 0},
    {"items", compile_items, 0},
    {"additionalItems", compile_additional_items, 0},
    {"maxItems", compile_items_count, ARRAY(max_items)},
    {"minItems", compile_items_count, ARRAY(min_items)},
    {"uniqueItems", compile_unique, 0},
    {"contains", compile_array_schema, ARRAY(contains)},
    {"properties", compile_properties, 0},
    {"required", compile_required, 0},
    {"patternProperties", compile_pattern_properties, 0},
    {"additionalProperties", compile_object_schema, OBJECT(additional)},
    {"propertyNames", compile_object_schema, OBJECT(names)},
    {"dependencies", compile_dependencies, 0},
    {"maxProperties", compile_properties_count, OBJECT(max_properties)},
    {"minProperties", compile_properties_count, OBJECT(min_properties)},
    {"definitions", compile_definitions, 0},
    {"allOf", compile_logic_list, LOGIC(all_of)},
    {"anyOf", compile_logic_list, LOGIC(any_of)},
    {"oneOf", compile_logic_list, LOGIC(one_of)},
    {"not", compile_logic_schema, LOGIC(not_node)},
    {"if", compile_logic_schema, LOGIC(if_node)},
    {"then", compile_logic_schema, LOGIC(then_node)},
    {"else", compile_logic_schema, LOGIC(else_node)},
};

int
schema_keywords_compile(struct schema_compiler *c, struct schema_draft *d)
{
	const struct jval *v;
	size_t i;

	for (i = 0; i < NELEMS(keywords); i++) {
		v = jdoc_gets(d->at, keywords[i].name);
		if (v != NULL &&
		    keywords[i].compile(c, d, &keywords[i], v) == -1)
			return -1;
	}
	return 0;
}
