/* What can be asked of a value on the tape. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "json/jdoc.h"

/* 2^63 and 2^64; what is below fits an int64_t, or a uint64_t. */
#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0

const struct jval *
jdoc_get(const struct jval *object, struct str key)
{
	const struct jval *e, *found = NULL;
	uint32_t i;

	if (object == NULL || jval_kind(object) != JDOC_OBJECT)
		return NULL;
	for (e = object + 1, i = 0; i < object->len;
	     i++, e = jval_next(e + 1)) {
		if (e->len == key.len && str_eq(jval_str(e), key))
			found = e + 1;
	}
	return found;
}

const struct jval *
jdoc_gets(const struct jval *object, const char *key)
{
	return jdoc_get(object, str_of(key));
}

struct str
jdoc_get_str(const struct jval *object, const char *key)
{
	const struct jval *v = jdoc_gets(object, key);

	return v != NULL && jval_kind(v) == JDOC_STRING ? jval_str(v)
							: (struct str){NULL, 0};
}

const struct jval *
jdoc_at(const struct jval *array, size_t index)
{
	const struct jval *e;

	if (array == NULL || jval_kind(array) != JDOC_ARRAY ||
	    index >= array->len)
		return NULL;
	for (e = array + 1; index > 0; index--)
		e = jval_next(e);
	return e;
}

/* Whether a double is that whole number, without a rounding in between. */
static int
real_is_int(double d, int64_t i)
{
	return d >= -TWO_63 && d < TWO_63 && (double)(int64_t)d == d &&
	       (int64_t)d == i;
}

static int
real_is_uint(double d, uint64_t u)
{
	return d >= 0 && d < TWO_64 && (double)(uint64_t)d == d &&
	       (uint64_t)d == u;
}

static int
equal_numbers(const struct jval *a, const struct jval *b)
{
	const struct jval *swap;

	if (jval_kind(b) == JDOC_REAL) {
		swap = a;
		a = b;
		b = swap;
	}
	if (jval_kind(a) != JDOC_REAL)
		return a->kind == b->kind && a->v.u == b->v.u;
	if (jval_kind(b) == JDOC_REAL)
		return a->v.d >= b->v.d && a->v.d <= b->v.d;
	return jval_kind(b) == JDOC_INT ? real_is_int(a->v.d, b->v.i)
					: real_is_uint(a->v.d, b->v.u);
}

/* By key, and of one key in the order of the document. */
static int
compare_members(const void *pa, const void *pb)
{
	const struct jval *a = *(const struct jval *const *)pa;
	const struct jval *b = *(const struct jval *const *)pb;
	int c;

	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	c = a->len == 0 ? 0 : memcmp(a->v.s, b->v.s, a->len);
	return c != 0 ? c : a < b ? -1 : a > b ? 1 : 0;
}

/* The keys of the members that count, sorted; the caller frees the list. */
static const struct jval **
sorted_members(const struct jval *object, size_t *ret_n)
{
	const struct jval **list = mem_array(object->len, sizeof(*list)), *e;
	size_t i, n = 0;

	for (e = object + 1, i = 0; i < object->len; i++, e = jval_next(e + 1))
		list[i] = e;
	qsort(list, object->len, sizeof(*list), compare_members);
	for (i = 0; i < object->len; i++) {
		if (n > 0 && str_eq(jval_str(list[n - 1]), jval_str(list[i])))
			n--;
		list[n++] = list[i];
	}
	*ret_n = n;
	return list;
}

static int
equal_objects(const struct jval *a, const struct jval *b)
{
	const struct jval **la, **lb;
	size_t i, na, nb;
	int equal;

	la = sorted_members(a, &na);
	lb = sorted_members(b, &nb);
	equal = na == nb;
	for (i = 0; equal && i < na; i++)
		equal = str_eq(jval_str(la[i]), jval_str(lb[i])) &&
			jdoc_equal(la[i] + 1, lb[i] + 1);
	free(la);
	free(lb);
	return equal;
}

int
jdoc_equal(const struct jval *a, const struct jval *b)
{
	const struct jval *ea, *eb;
	uint32_t i;

	if (jval_is_number(a) && jval_is_number(b))
		return equal_numbers(a, b);
	if (jval_kind(a) != jval_kind(b))
		return 0;
	if (jval_kind(a) == JDOC_STRING)
		return str_eq(jval_str(a), jval_str(b));
	if (jval_kind(a) == JDOC_OBJECT)
		return equal_objects(a, b);
	if (jval_kind(a) != JDOC_ARRAY)
		return 1;
	if (a->len != b->len)
		return 0;
	for (ea = a + 1, eb = b + 1, i = 0; i < a->len;
	     i++, ea = jval_next(ea), eb = jval_next(eb)) {
		if (!jdoc_equal(ea, eb))
			return 0;
	}
	return 1;
}

const char *
jval_type_name(const struct jval *v)
{
	static const char *const names[] = {"null", "boolean", "boolean",
	    "integer", "integer", "number", "string", "array", "object"};

	return names[jval_kind(v)];
}
