#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "json/jpath.h"
#include "json/jwrite.h"

#include "schema/schema.h"
#include "schema/schema_internal.h"

/* Bytes of a string that are shown, and values of an `enum`. */
#define SHOWN_BYTES 60
#define SHOWN_VALUES 8

/* ---- places -------------------------------------------------------------- */

static void
put_key(struct buf *buf, struct str key)
{
	size_t start = buf->len, i;

	jpath_put_key(buf, key);
	/* The pointer is a C string in the end. */
	for (i = start; i < buf->len; i++) {
		if (buf->data[i] == '\0')
			buf->data[i] = ' ';
	}
}

int
schema_put_pointer(
    struct buf *buf, const struct jval *root, const struct jval *target)
{
	const struct jval *v = root, *e, *value;
	uint32_t i;

	if (root == NULL || target < root || target >= jval_next(root))
		return 0;

	/* The tape is in the document's order: what holds the target is the
	 * one in whose stretch it is. */
	while (v != target) {
		if (jval_kind(v) == JDOC_ARRAY) {
			for (e = v + 1, i = 0; target >= jval_next(e); i++)
				e = jval_next(e);
			jpath_put_index(buf, i);
			v = e;
			continue;
		}
		for (e = v + 1; target >= jval_next(e + 1);)
			e = jval_next(e + 1);
		value = e + 1;
		put_key(buf, jval_str(e));
		if (target == e)
			return 1;
		v = value;
	}
	return 0;
}

/* ---- values in words ----------------------------------------------------- */

/* The length of ${s} cut to ${max} bytes, at a character's boundary. */
static size_t
cut_length(struct str s, size_t max)
{
	if (s.len <= max)
		return s.len;
	while (max > 0 && ((unsigned char)s.data[max] & 0xC0) == 0x80)
		max--;
	return max;
}

static void
put_quoted(struct buf *buf, struct str s, char quote)
{
	size_t n = cut_length(s, SHOWN_BYTES);

	buf_putc(buf, quote);
	str_put_visible(buf, (struct str){s.data, n});
	buf_puts(buf, n < s.len ? "..." : "");
	buf_putc(buf, quote);
}

void
schema_put_value(struct buf *buf, const struct jval *v)
{
	struct jwrite w;

	switch (jval_kind(v)) {
	case JDOC_STRING:
		put_quoted(buf, jval_str(v), '"');
		return;
	case JDOC_ARRAY:
		buf_puts(buf, v->len == 0 ? "an empty array" : "an array");
		return;
	case JDOC_OBJECT:
		buf_puts(buf, v->len == 0 ? "an empty object" : "an object");
		return;
	case JDOC_NULL:
	case JDOC_FALSE:
	case JDOC_TRUE:
	case JDOC_INT:
	case JDOC_UINT:
	case JDOC_REAL:
		break;
	}
	w = jwrite_begin(buf, 0);
	jwrite_jval(&w, v);
}

/* With its type, where that is the point: "42 (integer)". */
static void
put_typed(struct buf *buf, const struct jval *v)
{
	schema_put_value(buf, v);
	if (jval_kind(v) > JDOC_NULL && jval_kind(v) < JDOC_ARRAY)
		buf_printf(buf, " (%s)", jval_type_name(v));
}

/* What is allowed, short: the text of a container is cut. */
static void
put_allowed(struct buf *buf, const struct jval *v)
{
	struct buf text = BUF_INIT;
	struct jwrite w;
	struct str s;
	size_t n;

	if (jval_kind(v) < JDOC_ARRAY) {
		schema_put_value(buf, v);
		return;
	}
	w = jwrite_begin(&text, 0);
	jwrite_jval(&w, v);
	s = (struct str){text.data, text.len};
	n = cut_length(s, SHOWN_BYTES);
	str_put_visible(buf, (struct str){s.data, n});
	buf_puts(buf, n < s.len ? "..." : "");
	buf_free(&text);
}

void
schema_put_kinds(struct buf *buf, uint32_t kinds)
{
	static const struct {
		uint32_t kinds;
		const char *name;
	} types[] = {
	    {SCHEMA_KIND(JDOC_STRING), "a string"},
	    {SCHEMA_KINDS_NUMBER, "a number"},
	    {SCHEMA_KINDS_INTEGER, "an integer"},
	    {SCHEMA_KINDS_BOOLEAN, "a boolean"},
	    {SCHEMA_KIND(JDOC_OBJECT), "an object"},
	    {SCHEMA_KIND(JDOC_ARRAY), "an array"},
	    {SCHEMA_KIND(JDOC_NULL), "null"},
	};
	const char *names[NELEMS(types)];
	size_t n = 0, i;

	for (i = 0; i < NELEMS(types); i++) {
		if ((kinds & types[i].kinds) != types[i].kinds)
			continue;
		kinds &= ~types[i].kinds;
		names[n++] = types[i].name;
	}
	for (i = 0; i < n; i++) {
		buf_printf(buf, "%s%s",
		    i == 0       ? ""
		    : i + 1 == n ? " or "
				 : ", ",
		    names[i]);
	}
}

/* "; did you mean ...?", where one of ${keys} is like ${name}. */
static void
put_suggestion(struct buf *buf, const struct schema_keys *keys, struct str name)
{
	const char **names, *closest;
	char *copy;
	size_t i;

	if (keys->n == 0 || name.len > 100)
		return;
	/* All names of a schema end in a NUL, see copy_str(). */
	names = mem_array(keys->n, sizeof(*names));
	for (i = 0; i < keys->n; i++)
		names[i] = keys->names[i].data;
	copy = mem_strndup(name.data, name.len);
	closest = str_closest(copy, names, keys->n);
	if (closest != NULL) {
		buf_puts(buf, "; did you mean ");
		put_quoted(buf, str_of(closest), '"');
		buf_putc(buf, '?');
	}
	free(copy);
	free(names);
}

static void
put_enum(
    struct buf *buf, const struct schema_values *values, const struct jval *v)
{
	size_t i, shown = values->n;

	if (values->n == 0) {
		buf_puts(buf, "no value is allowed here, is ");
		schema_put_value(buf, v);
		return;
	}
	if (shown > SHOWN_VALUES)
		shown = SHOWN_VALUES - 2;
	buf_puts(buf, values->n > 1 ? "must be one of " : "must be ");
	for (i = 0; i < shown; i++) {
		buf_puts(buf, i > 0 ? ", " : "");
		put_allowed(buf, values->values[i]);
	}
	if (shown < values->n)
		buf_printf(buf, " or %zu others", values->n - shown);
	buf_puts(buf, ", is ");
	schema_put_value(buf, v);
	if (jval_kind(v) == JDOC_STRING)
		put_suggestion(buf, &values->strings, jval_str(v));
}

/* ---- faults in words ----------------------------------------------------- */

static void
put_limit(struct buf *buf, const char *what, const struct jval *limit,
    const struct jval *v)
{
	buf_printf(buf, "must be %s ", what);
	schema_put_value(buf, limit);
	buf_puts(buf, ", is ");
	schema_put_value(buf, v);
}

/* "must have at most 3 elements, has 4" */
static void
put_count(struct buf *buf, const char *what, const char *unit, uint64_t limit,
    uint64_t n)
{
	buf_printf(buf, "must have %s %llu %s%s, has %llu", what,
	    (unsigned long long)limit, unit, limit == 1 ? "" : "s",
	    (unsigned long long)n);
}

static uint64_t
count_points(struct str s)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < s.len; i++)
		n += ((unsigned char)s.data[i] & 0xC0) != 0x80;
	return n;
}

/* Faults of numbers and strings. */
static void
put_scalar_fault(struct buf *buf, const struct schema_fault *f)
{
	const struct schema_number *number = f->node->number;
	const struct schema_string *string = f->node->string;

	if (f->kind == SCHEMA_FAULT_MULTIPLE) {
		put_limit(buf, "a multiple of", number->multiple_of, f->at);
	} else if (f->kind == SCHEMA_FAULT_MAXIMUM) {
		put_limit(buf, "at most", number->maximum, f->at);
	} else if (f->kind == SCHEMA_FAULT_EXCLUSIVE_MAXIMUM) {
		put_limit(buf, "less than", number->exclusive_maximum, f->at);
	} else if (f->kind == SCHEMA_FAULT_MINIMUM) {
		put_limit(buf, "at least", number->minimum, f->at);
	} else if (f->kind == SCHEMA_FAULT_EXCLUSIVE_MINIMUM) {
		put_limit(buf, "more than", number->exclusive_minimum, f->at);
	} else if (f->kind == SCHEMA_FAULT_MAX_LENGTH) {
		put_count(buf, "at most", "character", string->max_length,
		    count_points(jval_str(f->at)));
	} else if (f->kind == SCHEMA_FAULT_MIN_LENGTH) {
		put_count(buf, "at least", "character", string->min_length,
		    count_points(jval_str(f->at)));
	} else if (f->kind == SCHEMA_FAULT_FORMAT) {
		buf_printf(buf, "must match the format %s, is ",
		    schema_format_name(string->format));
		schema_put_value(buf, f->at);
	} else {
		buf_puts(buf, "must match the pattern ");
		put_quoted(buf, string->pattern->text, '/');
		buf_puts(buf, ", is ");
		schema_put_value(buf, f->at);
	}
}

/* Faults of arrays and objects. */
static void
put_container_fault(struct buf *buf, const struct schema_fault *f)
{
	const struct schema_array *array = f->node->array;
	const struct schema_object *object = f->node->object;

	if (f->kind == SCHEMA_FAULT_MAX_ITEMS) {
		put_count(
		    buf, "at most", "element", array->max_items, f->at->len);
	} else if (f->kind == SCHEMA_FAULT_MIN_ITEMS) {
		put_count(
		    buf, "at least", "element", array->min_items, f->at->len);
	} else if (f->kind == SCHEMA_FAULT_EXTRA_ITEM) {
		buf_printf(buf,
		    "must not be there: the array ends after %zu element%s",
		    array->ntuple, array->ntuple == 1 ? "" : "s");
	} else if (f->kind == SCHEMA_FAULT_UNIQUE) {
		buf_printf(buf,
		    "must not be equal to another element, is equal to "
		    "number %llu",
		    (unsigned long long)f->number);
	} else if (f->kind == SCHEMA_FAULT_CONTAINS) {
		buf_printf(buf,
		    "must contain an element as described under \"contains\", "
		    "none of %u is",
		    f->at->len);
	} else if (f->kind == SCHEMA_FAULT_MAX_PROPERTIES) {
		put_count(buf, "at most", "member", object->max_properties,
		    f->number);
	} else if (f->kind == SCHEMA_FAULT_MIN_PROPERTIES) {
		put_count(buf, "at least", "member", object->min_properties,
		    f->number);
	} else if (f->kind == SCHEMA_FAULT_UNKNOWN_MEMBER) {
		buf_puts(buf, "member ");
		put_quoted(buf, jval_str(f->at), '"');
		buf_puts(buf, " is not allowed");
		put_suggestion(buf, &object->keys, jval_str(f->at));
	} else {
		buf_puts(buf, "required member ");
		put_quoted(buf, f->name, '"');
		buf_puts(buf, " is missing");
		if (f->kind == SCHEMA_FAULT_DEPENDENCY) {
			buf_puts(buf, ": it must be there if ");
			put_quoted(buf, f->beside, '"');
			buf_puts(buf, " is");
		}
	}
}

/* Faults of any value. */
static void
put_fault(struct buf *buf, const struct schema_fault *f)
{
	switch (f->kind) {
	case SCHEMA_FAULT_NONE:
		buf_puts(buf, "is refused");
		break;
	case SCHEMA_FAULT_FALSE:
		buf_puts(buf, "must not be there: no value is allowed");
		break;
	case SCHEMA_FAULT_TYPE:
	case SCHEMA_FAULT_ANY_OF_TYPES:
		buf_puts(buf, "must be ");
		schema_put_kinds(buf, f->kind == SCHEMA_FAULT_TYPE
					  ? f->node->kinds
					  : (uint32_t)f->number);
		buf_puts(buf, ", is ");
		put_typed(buf, f->at);
		break;
	case SCHEMA_FAULT_ENUM:
		put_enum(buf, f->node->values, f->at);
		break;
	case SCHEMA_FAULT_CONST:
		put_enum(buf, f->node->constant, f->at);
		break;
	case SCHEMA_FAULT_NOT:
		buf_puts(buf, "must not be as described under \"not\", is ");
		schema_put_value(buf, f->at);
		break;
	case SCHEMA_FAULT_ONE_OF:
		buf_printf(buf,
		    "must match exactly one of %zu alternatives, matches "
		    "numbers %llu and %llu",
		    f->node->logic->one_of.n, (unsigned long long)f->number + 1,
		    (unsigned long long)f->other + 1);
		break;
	case SCHEMA_FAULT_TOO_COMPLEX:
		buf_puts(buf,
		    "cannot be checked: the schema and the value together "
		    "take too much work");
		break;
	case SCHEMA_FAULT_TOO_DEEP:
		buf_puts(buf, "is nested too deep to be checked");
		break;
	case SCHEMA_FAULT_PATTERN_LIMIT:
		buf_puts(buf, "cannot be checked: the pattern ");
		put_quoted(buf, f->name, '/');
		buf_puts(buf, " takes too long on ");
		schema_put_value(buf, f->at);
		break;
	case SCHEMA_FAULT_MULTIPLE:
	case SCHEMA_FAULT_MAXIMUM:
	case SCHEMA_FAULT_EXCLUSIVE_MAXIMUM:
	case SCHEMA_FAULT_MINIMUM:
	case SCHEMA_FAULT_EXCLUSIVE_MINIMUM:
	case SCHEMA_FAULT_MAX_LENGTH:
	case SCHEMA_FAULT_MIN_LENGTH:
	case SCHEMA_FAULT_PATTERN:
	case SCHEMA_FAULT_FORMAT:
		put_scalar_fault(buf, f);
		break;
	case SCHEMA_FAULT_MAX_ITEMS:
	case SCHEMA_FAULT_MIN_ITEMS:
	case SCHEMA_FAULT_EXTRA_ITEM:
	case SCHEMA_FAULT_UNIQUE:
	case SCHEMA_FAULT_CONTAINS:
	case SCHEMA_FAULT_MAX_PROPERTIES:
	case SCHEMA_FAULT_MIN_PROPERTIES:
	case SCHEMA_FAULT_REQUIRED:
	case SCHEMA_FAULT_DEPENDENCY:
	case SCHEMA_FAULT_UNKNOWN_MEMBER:
		put_container_fault(buf, f);
		break;
	}
}

/* Into a field of fixed size; what is too long is cut, and says so. */
static void
copy_out(char *out, size_t size, const struct buf *text)
{
	struct str s = {buf_text(text), text->len};
	size_t n = s.len < size ? s.len : cut_length(s, size - 4);

	memcpy(out, s.data, n);
	memcpy(out + n, n < s.len ? "..." : "", n < s.len ? 4 : 1);
}

void
schema_explain(const struct schema_fault *fault, const struct jval *root,
    struct schema_violation *ret_violation)
{
	struct buf pointer = BUF_INIT, message = BUF_INIT;

	if (schema_put_pointer(&pointer, root, fault->at) &&
	    fault->kind != SCHEMA_FAULT_UNKNOWN_MEMBER)
		buf_puts(&message, "as a member's name, ");
	if (fault->kind == SCHEMA_FAULT_REQUIRED ||
	    fault->kind == SCHEMA_FAULT_DEPENDENCY)
		put_key(&pointer, fault->name);
	put_fault(&message, fault);
	copy_out(
	    ret_violation->pointer, sizeof(ret_violation->pointer), &pointer);
	copy_out(
	    ret_violation->message, sizeof(ret_violation->message), &message);
	ret_violation->depth = fault->depth;
	buf_free(&pointer);
	buf_free(&message);
}
