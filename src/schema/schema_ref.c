#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "json/jpath.h"

#include "schema/schema_internal.h"

#define META_URI "http://json-schema.org/draft-07/schema"

/* References to references to ...; more is taken for a circle. */
#define MAX_HOPS 256

/* The one schema that everybody refers to, carried in the binary. */
extern const unsigned char embed_src_schema_draft_07_json[];
extern const size_t embed_src_schema_draft_07_json_len;

/* A document, or a part of one that has a URI of its own (`$id`). */
struct resource {
	const char *uri; /* Without fragment; "" if it has none. */
	const struct jval *root;
};

/* What a URI names: a resource, or a place ("$id": "#name") in one. */
struct name {
	const char *uri;
	const struct jval *at;
	size_t resource;
};

/* A schema in a document. */
struct place {
	const struct jval *at; /* NULL: a free slot. */
	size_t resource;       /* The one that it is in. */
	struct schema_node *node;
};

struct schema_index {
	const struct jval *root;
	struct jdoc meta; /* Parsed when it is needed. */
	struct arena arena;
	struct resource *resources;
	size_t nresources, resources_cap;
	struct name *names;
	size_t nnames, names_cap;
	struct place *places; /* A table by address. */
	size_t nplaces, mask;
};

/* ---- URIs, RFC 3986 section 5.2 ------------------------------------------ */

struct uri {
	struct str scheme, authority, path, query; /* data NULL: none. */
};

static size_t
span_until(struct str s, const char *stops)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (s.data[i] != '\0' && strchr(stops, s.data[i]) != NULL)
			break;
	}
	return i;
}

/* Split ${s}, which has no fragment. */
static struct uri
uri_split(struct str s)
{
	struct uri u;
	size_t n;

	memset(&u, 0, sizeof(u));
	n = span_until(s, ":/?");
	if (n > 0 && n < s.len && s.data[n] == ':') {
		u.scheme = (struct str){s.data, n};
		s = (struct str){s.data + n + 1, s.len - n - 1};
	}
	if (s.len >= 2 && s.data[0] == '/' && s.data[1] == '/') {
		s = (struct str){s.data + 2, s.len - 2};
		n = span_until(s, "/?");
		u.authority = (struct str){s.data, n};
		s = (struct str){s.data + n, s.len - n};
	}
	n = span_until(s, "?");
	u.path = (struct str){s.data, n};
	if (n < s.len)
		u.query = (struct str){s.data + n + 1, s.len - n - 1};
	return u;
}

/* Append a path without its "." and ".." parts. */
static void
put_path(struct buf *out, struct str path)
{
	size_t start = out->len, n;
	struct str part;
	int last;

	while (path.len > 0) {
		n = path.data[0] == '/' ? 1 : 0;
		n += span_until((struct str){path.data + n, path.len - n}, "/");
		part = (struct str){path.data, n};
		path = (struct str){path.data + n, path.len - n};
		last = path.len == 0;
		if (str_eq(part, STR("/.")) || str_eq(part, STR("."))) {
			if (last)
				buf_putc(out, '/');
		} else if (str_eq(part, STR("/..")) ||
			   str_eq(part, STR(".."))) {
			while (out->len > start && out->data[--out->len] != '/')
				;
			if (last)
				buf_putc(out, '/');
		} else {
			buf_put(out, part.data, part.len);
		}
	}
}

/* Append what the reference ${ref}, without fragment, is within ${base}. */
static void
uri_resolve(struct str base, struct str ref, struct buf *out)
{
	struct uri b = uri_split(base), r = uri_split(ref);
	struct buf merged = BUF_INIT;
	size_t n;

	if (r.scheme.data == NULL) {
		r.scheme = b.scheme;
		if (r.authority.data == NULL) {
			r.authority = b.authority;
			if (r.path.len == 0) {
				r.path = b.path;
				if (r.query.data == NULL)
					r.query = b.query;
			} else if (r.path.data[0] != '/') {
				for (n = b.path.len;
				     n > 0 && b.path.data[n - 1] != '/'; n--)
					;
				if (n > 0)
					buf_put(&merged, b.path.data, n);
				else if (b.authority.data != NULL)
					buf_putc(&merged, '/');
				buf_put(&merged, r.path.data, r.path.len);
				r.path = (struct str){merged.data, merged.len};
			}
		}
	}
	if (r.scheme.data != NULL) {
		buf_put(out, r.scheme.data, r.scheme.len);
		buf_putc(out, ':');
	}
	if (r.authority.data != NULL) {
		buf_puts(out, "//");
		buf_put(out, r.authority.data, r.authority.len);
	}
	put_path(out, r.path);
	if (r.query.data != NULL) {
		buf_putc(out, '?');
		buf_put(out, r.query.data, r.query.len);
	}
	buf_free(&merged);
}

/* Split off the fragment, without its "#"; returns whether there is one. */
static int
cut_fragment(struct str *uri, struct str *ret_fragment)
{
	size_t n = span_until(*uri, "#");

	*ret_fragment = (struct str){"", 0};
	if (n == uri->len)
		return 0;
	*ret_fragment = (struct str){uri->data + n + 1, uri->len - n - 1};
	uri->len = n;
	return 1;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 32);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
put_decoded(struct buf *out, struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (s.data[i] == '%' && s.len - i > 2 &&
		    hex_value(s.data[i + 1]) >= 0 &&
		    hex_value(s.data[i + 2]) >= 0) {
			buf_putc(out, (char)(hex_value(s.data[i + 1]) * 16 +
					     hex_value(s.data[i + 2])));
			i += 2;
		} else {
			buf_putc(out, s.data[i]);
		}
	}
}

/* ---- the index ----------------------------------------------------------- */

static struct place *
find_slot(const struct schema_index *index, const struct jval *at)
{
	size_t i = (size_t)((uintptr_t)at / sizeof(*at) * 0x9E3779B1U);

	for (i &= index->mask;
	     index->places[i].at != NULL && index->places[i].at != at;
	     i = (i + 1) & index->mask)
		;
	return &index->places[i];
}

/* The place ${at}, made if it was not there; then *${ret_new} is 1. */
static struct place *
put_place(struct schema_index *index, const struct jval *at, size_t resource,
    int *ret_new)
{
	struct place *old = index->places, *slot;
	size_t n = index->mask + 1, i;

	if (index->nplaces * 2 >= n) {
		index->places = mem_array(n * 2, sizeof(*old));
		index->mask = n * 2 - 1;
		for (i = 0; i < n; i++) {
			if (old[i].at != NULL)
				*find_slot(index, old[i].at) = old[i];
		}
		free(old);
	}
	slot = find_slot(index, at);
	*ret_new = slot->at == NULL;
	if (*ret_new) {
		*slot = (struct place){at, resource, NULL};
		index->nplaces++;
	}
	return slot;
}

static const struct name *
find_name(const struct schema_index *index, const char *uri)
{
	size_t i;

	for (i = 0; i < index->nnames; i++) {
		if (strcmp(index->names[i].uri, uri) == 0)
			return &index->names[i];
	}
	return NULL;
}

static void
put_name(struct schema_index *index, const char *uri, const struct jval *at,
    size_t resource)
{
	if (find_name(index, uri) != NULL)
		return;
	index->names = mem_grow(index->names, &index->names_cap,
	    index->nnames + 1, sizeof(*index->names));
	index->names[index->nnames++] = (struct name){uri, at, resource};
}

static size_t
put_resource(
    struct schema_index *index, const char *uri, const struct jval *root)
{
	index->resources = mem_grow(index->resources, &index->resources_cap,
	    index->nresources + 1, sizeof(*index->resources));
	index->resources[index->nresources] = (struct resource){uri, root};
	return index->nresources++;
}

/* Take note of the `$id` of the schema ${at}; returns its resource. */
static size_t
scan_id(struct schema_index *index, const struct jval *at, size_t resource)
{
	struct str id = jdoc_get_str(at, "$id"), fragment;
	struct buf uri = BUF_INIT;
	const char *text;

	if (id.data == NULL)
		return resource;
	(void)cut_fragment(&id, &fragment);
	if (id.len > 0) {
		uri_resolve(str_of(index->resources[resource].uri), id, &uri);
		text = arena_strndup(&index->arena, buf_text(&uri), uri.len);
		resource = put_resource(index, text, at);
		put_name(index, text, at, resource);
	}
	if (fragment.len > 0) {
		buf_reset(&uri);
		buf_printf(&uri, "%s#", index->resources[resource].uri);
		buf_put(&uri, fragment.data, fragment.len);
		put_name(index,
		    arena_strndup(&index->arena, buf_text(&uri), uri.len), at,
		    resource);
	}
	buf_free(&uri);
	return resource;
}

static void scan(
    struct schema_index *index, const struct jval *at, size_t resource);

/* Every value that an object or array holds. */
static void
scan_each(struct schema_index *index, const struct jval *v, size_t resource)
{
	const struct jval *e;
	uint32_t i;

	if (v == NULL)
		return;
	if (jval_kind(v) == JDOC_OBJECT) {
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1))
			scan(index, e + 1, resource);
	} else if (jval_kind(v) == JDOC_ARRAY) {
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e))
			scan(index, e, resource);
	}
}

/* Note the schema ${at} and those in it.  Only keywords lead to schemas: an
 * `$id` within `enum` is a value like others. */
static void
scan(struct schema_index *index, const struct jval *at, size_t resource)
{
	static const char *const single[] = {"additionalItems",
	    "additionalProperties", "contains", "else", "if", "items", "not",
	    "propertyNames", "then"};
	static const char *const several[] = {"allOf", "anyOf", "definitions",
	    "dependencies", "items", "oneOf", "patternProperties",
	    "properties"};
	const struct jval *v;
	size_t i;
	int is_new;

	if (jval_kind(at) != JDOC_OBJECT && jval_kind(at) != JDOC_TRUE &&
	    jval_kind(at) != JDOC_FALSE)
		return;
	/* A reference is nothing else: its siblings do not count. */
	if (jdoc_get_str(at, "$ref").data != NULL) {
		(void)put_place(index, at, resource, &is_new);
		return;
	}
	if (find_slot(index, at)->at != NULL)
		return;
	resource = scan_id(index, at, resource);
	(void)put_place(index, at, resource, &is_new);
	for (i = 0; i < NELEMS(single); i++) {
		v = jdoc_gets(at, single[i]);
		if (v != NULL && jval_kind(v) != JDOC_ARRAY)
			scan(index, v, resource);
	}
	for (i = 0; i < NELEMS(several); i++) {
		v = jdoc_gets(at, several[i]);
		if (v != NULL && strcmp(several[i], "items") == 0 &&
		    jval_kind(v) != JDOC_ARRAY)
			continue;
		scan_each(index, v, resource);
	}
}

struct schema_index *
schema_index_create(const struct jval *root, const struct jval *at)
{
	struct schema_index *index = mem_zalloc(sizeof(*index));
	size_t resource;

	index->root = root;
	index->mask = 63;
	index->places = mem_array(index->mask + 1, sizeof(*index->places));
	resource = put_resource(index, "", root);

	/* In an AsyncAPI document the schemas are among its components. */
	scan(index, root, resource);
	if (root != at)
		scan_each(index,
		    jdoc_gets(jdoc_gets(root, "components"), "schemas"),
		    resource);
	scan(index, at, resource);
	return index;
}

void
schema_index_free(struct schema_index *index)
{
	if (index == NULL)
		return;
	jdoc_free(&index->meta);
	arena_free(&index->arena);
	free(index->resources);
	free(index->names);
	free(index->places);
	free(index);
}

int
schema_index_fail(const struct schema_index *index, const struct jval *at,
    struct err *err, const char *fmt, ...)
{
	struct buf where = BUF_INIT;
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)schema_put_pointer(&where, index->root, at);
	(void)err_set(err, ERR_INVALID, "%s: %s",
	    where.len > 0 ? buf_text(&where) : "the schema", text);
	buf_free(&where);
	return -1;
}

/* ---- references ---------------------------------------------------------- */

/* The resource with that URI; NULL if it is elsewhere. */
static const struct name *
find_resource(struct schema_index *index, const char *uri)
{
	const struct name *name = find_name(index, uri);
	struct err err;

	if (name != NULL || strcmp(uri, META_URI) != 0)
		return name;
	if (jdoc_parse(&index->meta,
		(const char *)embed_src_schema_draft_07_json,
		embed_src_schema_draft_07_json_len, NULL, &err) == -1)
		return NULL;
	scan(index, jdoc_root(&index->meta), 0);
	return find_name(index, uri);
}

/* Where the reference ${ref} in the schema ${at} leads. */
static int
resolve(struct schema_index *index, const struct jval *at, struct str ref,
    const struct jval **ret_at, struct err *err)
{
	const struct place *place = find_slot(index, at);
	size_t resource = place->at != NULL ? place->resource : 0;
	const struct jval *found = NULL, *where = jdoc_gets(at, "$ref");
	struct buf uri = BUF_INIT, decoded = BUF_INIT, shown = BUF_INIT;
	const struct name *name;
	struct str fragment;
	struct err why = ERR_INIT;
	int rc = -1;

	schema_put_value(&shown, where);
	(void)cut_fragment(&ref, &fragment);
	put_decoded(&decoded, fragment);

	/* Which document, or part of one with a URI of its own? */
	if (ref.len > 0) {
		uri_resolve(str_of(index->resources[resource].uri), ref, &uri);
		name = find_resource(index, buf_text(&uri));
		if (name == NULL) {
			(void)schema_index_fail(index, where, err,
			    "%s leads out of the document, and only schemas "
			    "within it are known; put it under \"definitions\"",
			    buf_text(&shown));
			goto out;
		}
		resource = name->resource;
	}

	/* Which place in it? */
	if (decoded.len == 0) {
		found = index->resources[resource].root;
	} else if (decoded.data[0] == '/') {
		found = jpath_get(index->resources[resource].root,
		    (struct str){decoded.data, decoded.len}, &why);
	} else {
		buf_reset(&uri);
		buf_printf(&uri, "%s#", index->resources[resource].uri);
		buf_put(&uri, fragment.data, fragment.len);
		name = find_name(index, buf_text(&uri));
		found = name != NULL ? name->at : NULL;
		(void)err_set(
		    &why, ERR_NOT_FOUND, "no schema has that \"$id\"");
	}
	if (found == NULL) {
		(void)schema_index_fail(index, where, err,
		    "%s leads nowhere: %s", buf_text(&shown), why.msg);
		goto out;
	}
	scan(index, found, resource);
	*ret_at = found;
	rc = 0;

out:
	buf_free(&uri);
	buf_free(&decoded);
	buf_free(&shown);
	return rc;
}

int
schema_index_follow(struct schema_index *index, const struct jval *at,
    const struct jval **ret_at, struct err *err)
{
	const struct jval *first = at, *ref;
	int hops;

	for (hops = 0; hops < MAX_HOPS; hops++) {
		ref = jdoc_gets(at, "$ref");
		if (ref == NULL) {
			*ret_at = at;
			return 0;
		}
		if (jval_kind(ref) != JDOC_STRING)
			return schema_index_fail(index, ref, err,
			    "must be a string: where the schema is");
		if (resolve(index, at, jval_str(ref), &at, err) == -1)
			return -1;
	}
	return schema_index_fail(index, first, err,
	    "the reference leads back to itself, by way of others");
}

struct schema_node *
schema_index_node(struct schema_index *index, const struct jval *at,
    struct arena *arena, int *ret_new)
{
	struct place *place;
	int is_new;

	place = put_place(index, at, 0, &is_new);
	*ret_new = place->node == NULL;
	if (*ret_new)
		place->node = arena_zalloc(arena, sizeof(*place->node));
	return place->node;
}
