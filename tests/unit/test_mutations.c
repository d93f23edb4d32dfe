/*
 * Every message of both documents, and every way to spoil a valid body of it
 * in one place: what one of the documents accepts is accepted, what both refuse
 * is refused at the spoilt place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "json/jdoc.h"
#include "json/jpath.h"
#include "json/jwrite.h"

#include "catalog/asyncapi.h"
#include "catalog/catalog.h"
#include "catalog/sample.h"
#include "schema/schema.h"

/* What a value is replaced with; NULL: it is left out. */
static const char *const spoilt[] = {NULL, "null", "true", "7", "1.5", "-1",
    "\"no such value\"", "\"\"", "[]", "[1]", "{}"};

/* One body, and where we are in it. */
struct body {
	const struct catalog *catalog;
	const struct catalog_resource *resource;
	const struct catalog_message *message;
	const struct jval *root;
	struct buf pointer;
	size_t tried;
	size_t refused;
};

/* Write ${v} with ${target} replaced by ${by}. */
static void
write_spoilt(struct jwrite *w, const struct jval *v, const struct jval *target,
    const char *by)
{
	const struct jval *e;
	size_t i;

	if (v == target)
		jwrite_raw(w, str_of(by));
	else if (jval_kind(v) == JDOC_OBJECT) {
		jwrite_object(w);
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1)) {
			if (e + 1 == target && by == NULL)
				continue;
			jwrite_keyn(w, jval_str(e));
			write_spoilt(w, e + 1, target, by);
		}
		jwrite_object_end(w);
	} else if (jval_kind(v) == JDOC_ARRAY) {
		jwrite_array(w);
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e))
			if (e != target || by != NULL)
				write_spoilt(w, e, target, by);
		jwrite_array_end(w);
	} else
		jwrite_jval(w, v);
}

/* Whether one of the documents takes the body. */
static int
anybody_accepts(const struct body *b, const struct jdoc *doc)
{
	const struct catalog_message *m;
	size_t i, n;

	m = catalog_messages(b->catalog, b->resource, &n);
	for (i = 0; i < n; i++)
		if (schema_check(m[i].message->schema, jdoc_root(doc), NULL) ==
		    0)
			return 1;
	return 0;
}

static void
try(struct body *b, const struct jval *target, const char *by)
{
	const char *at = buf_text(&b->pointer);
	struct catalog_violation violation = {"", ""};
	struct buf text = BUF_INIT;
	struct jdoc doc = {0};
	struct jwrite w;
	int rc;

	w = jwrite_begin(&text, 0);
	write_spoilt(&w, b->root, target, by);
	cr_assert_eq(jdoc_parse(&doc, text.data, text.len, NULL, NULL), 0, "%s",
	    text.data);
	rc = catalog_check(b->catalog, b->resource, &doc, &violation);
	cr_expect_eq(rc == 0, anybody_accepts(b, &doc), "%s", text.data);
	b->tried++;
	if (rc == -1) {
		b->refused++;
		/* In an object without what it must have, that is missing; of
		 * a list's elements one may be the wrong one. */
		cr_expect(
		    strcmp(violation.pointer, at) == 0 ||
			(by != NULL && strpbrk(by, "[{") != NULL &&
			    strncmp(violation.pointer, at, strlen(at)) == 0 &&
			    violation.pointer[strlen(at)] == '/'),
		    "%s %s: %s is %s, told at %s: %s",
		    asyncapi_name(b->message->document), b->resource->name, at,
		    by == NULL ? "left out" : by, violation.pointer,
		    violation.message);
		cr_expect_neq(violation.message[0], '\0');
	}
	jdoc_free(&doc);
	buf_free(&text);
}

/* Spoil ${v} and all below it. */
static void
spoil(struct body *b, const struct jval *v)
{
	const struct jval *e;
	size_t i, at = b->pointer.len;

	for (i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++)
		if (v != b->root || spoilt[i] != NULL)
			try(b, v, spoilt[i]);
	if (jval_kind(v) == JDOC_OBJECT)
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1)) {
			jpath_put_key(&b->pointer, jval_str(e));
			spoil(b, e + 1);
			b->pointer.len = at;
			b->pointer.data[at] = '\0';
		}
	if (jval_kind(v) == JDOC_ARRAY)
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e)) {
			jpath_put_index(&b->pointer, i);
			spoil(b, e);
			b->pointer.len = at;
			b->pointer.data[at] = '\0';
		}
}

static void
spoil_message(const struct catalog *catalog,
    const struct catalog_resource *resource, const struct catalog_message *m,
    const char *action)
{
	struct body b = {catalog, resource, m, NULL, BUF_INIT, 0, 0};
	struct buf text = BUF_INIT;
	struct jdoc doc = {0};
	struct err err = ERR_INIT;

	cr_assert_eq(sample_make(asyncapi_root(m->document), m->message, action,
			 &text, &err),
	    0, "%s: %s", resource->name, err.msg);
	cr_assert_eq(jdoc_parse(&doc, text.data, text.len, NULL, &err), 0);
	b.root = jdoc_root(&doc);
	buf_puts(&b.pointer, "");
	spoil(&b, b.root);
	cr_expect_gt(b.tried, 50);
	cr_expect_gt(b.refused, 10, "%s %s: %zu of %zu", resource->name, action,
	    b.refused, b.tried);
	jdoc_free(&doc);
	buf_free(&text);
	buf_free(&b.pointer);
}

Test(mutations, are_refused_where_they_were_made, .timeout = 120)
{
	struct catalog *catalog = NULL;
	const struct catalog_resource *r;
	const struct catalog_message *m;
	size_t i, k, a, n;

	cr_assert_eq(catalog_open(NULL, 0, &catalog, NULL), 0);
	for (i = 0; i < catalog_count(catalog); i++) {
		r = catalog_at(catalog, i);
		m = catalog_messages(catalog, r, &n);
		for (k = 0; k < n; k++)
			for (a = 0; a < m[k].message->nactions; a++)
				spoil_message(catalog, r, &m[k],
				    m[k].message->actions[a]);
	}
	catalog_free(catalog);
}
