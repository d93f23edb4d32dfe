#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "json/jdoc.h"
#include "json/jpath.h"

#include "catalog/yamljson.h"
#include "schema/schema.h"

#include "catalog/asyncapi.h"

/* References that lead to references, and schemas within `allOf`. */
#define MAX_HOPS 32

#define RESOURCE_HEADER STR("sentry-hook-resource")

struct asyncapi {
	char *name;
	struct buf json; /* The document as JSON, which doc points into. */
	struct jdoc doc;
	struct arena arena; /* Names and lists of the messages. */
	struct asyncapi_message *messages;
	size_t n;
	size_t cap;
};

/* A list of names in the making. */
struct names {
	const char **at;
	size_t n;
	size_t cap;
};

/* Where in the document we are: for messages, and for what a message inherits.
 */
struct place {
	struct asyncapi *doc;
	struct str channel;
	const struct jval *item;      /* The channel. */
	const struct jval *operation; /* Its subscribe or publish. */
	struct buf pointer;
	struct err *err;
};

/* Cut the pointer back to its first ${len} bytes. */
static void
cut_pointer(struct place *p, size_t len)
{
	p->pointer.len = len;
	if (p->pointer.data != NULL)
		p->pointer.data[len] = '\0';
}

static struct str
cut_last(struct str s, char c)
{
	while (s.len > 0 && s.data[s.len - 1] == c)
		s.len--;
	return s;
}

/* ---- walking ------------------------------------------------------------ */

/* Undo the percent-encoding of the fragment ${s} of a URI. */
static void
put_unescaped(struct buf *out, struct str s)
{
	static const char hex[] = "0123456789abcdef";
	const char *high, *low;
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (s.data[i] == '%' && s.len - i > 2 && s.data[i + 1] != 0 &&
		    s.data[i + 2] != 0 &&
		    (high = strchr(hex, s.data[i + 1] | 0x20)) != NULL &&
		    (low = strchr(hex, s.data[i + 2] | 0x20)) != NULL) {
			buf_putc(out, (char)((high - hex) * 16 + (low - hex)));
			i += 2;
		} else
			buf_putc(out, s.data[i]);
	}
}

const struct jval *
asyncapi_resolve(const struct jval *root, const struct jval *v)
{
	struct buf pointer = BUF_INIT;
	struct str ref;
	int hops;

	for (hops = 0; hops < MAX_HOPS && v != NULL; hops++) {
		ref = jdoc_get_str(v, "$ref");
		if (ref.data == NULL)
			break;
		if (ref.len == 0 || ref.data[0] != '#') {
			v = NULL;
			break;
		}
		buf_reset(&pointer);
		put_unescaped(
		    &pointer, (struct str){ref.data + 1, ref.len - 1});
		v = jpath_get(
		    root, (struct str){buf_text(&pointer), pointer.len}, NULL);
	}
	buf_free(&pointer);
	return hops == MAX_HOPS ? NULL : v;
}

static const struct jval *
find_property(const struct jval *root, const struct jval *schema,
    const char *name, int hops)
{
	const struct jval *found, *all, *e;
	size_t i;

	schema = asyncapi_resolve(root, schema);
	if (schema == NULL || hops > MAX_HOPS)
		return NULL;
	found = jdoc_gets(jdoc_gets(schema, "properties"), name);
	if (found != NULL)
		return asyncapi_resolve(root, found);
	all = jdoc_gets(schema, "allOf");
	if (all == NULL || jval_kind(all) != JDOC_ARRAY)
		return NULL;
	for (e = all + 1, i = 0; i < all->len; i++, e = jval_next(e)) {
		found = find_property(root, e, name, hops + 1);
		if (found != NULL)
			return found;
	}
	return NULL;
}

const struct jval *
asyncapi_property(
    const struct jval *root, const struct jval *schema, const char *name)
{
	return find_property(root, schema, name, 0);
}

/* Say that what is at ${p} is wrong. */
static int
fail(const struct place *p, const char *reason)
{
	return err_set(p->err, ERR_INVALID, "%s: %s",
	    p->pointer.len == 0 ? "/" : buf_text(&p->pointer), reason);
}

/* Follow the reference at ${p}, or say that it leads nowhere. */
static const struct jval *
follow(const struct place *p, const struct jval *v)
{
	const struct jval *to = asyncapi_resolve(asyncapi_root(p->doc), v);
	struct str ref;

	if (to != NULL)
		return to;
	ref = jdoc_get_str(v, "$ref");
	(void)err_set(p->err, ERR_INVALID,
	    "%s: the $ref \"%.*s\" leads nowhere in this document",
	    buf_text(&p->pointer), (int)ref.len, ref.data);
	return NULL;
}

/* ---- names -------------------------------------------------------------- */

static void
names_add(struct place *p, struct names *names, struct str s)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		if (str_eq(str_of(names->at[i]), s))
			return;
	names->at =
	    mem_grow(names->at, &names->cap, names->n + 1, sizeof(*names->at));
	names->at[names->n++] = arena_strndup(&p->doc->arena, s.data, s.len);
}

/* Hand the list over to the document. */
static const char *const *
names_keep(struct place *p, struct names *names)
{
	const char **kept;

	kept = arena_alloc(&p->doc->arena, (names->n + 1) * sizeof(*kept));
	if (names->n > 0)
		memcpy(kept, names->at, names->n * sizeof(*kept));
	kept[names->n] = NULL;
	free(names->at);
	return kept;
}

/*
 * Collect the strings that ${schema} allows by `enum` or `const`, also by one
 * of the branches of `anyOf` and `oneOf`.
 */
static void
names_allowed(
    struct place *p, struct names *names, const struct jval *schema, int hops)
{
	static const char *const branches[] = {"anyOf", "oneOf"};
	const struct jval *list, *e;
	size_t i, b;

	schema = asyncapi_resolve(asyncapi_root(p->doc), schema);
	if (schema == NULL || hops > MAX_HOPS)
		return;
	e = jdoc_gets(schema, "const");
	if (e != NULL && jval_kind(e) == JDOC_STRING)
		names_add(p, names, jval_str(e));
	list = jdoc_gets(schema, "enum");
	if (list != NULL && jval_kind(list) == JDOC_ARRAY)
		for (e = list + 1, i = 0; i < list->len; i++, e = jval_next(e))
			if (jval_kind(e) == JDOC_STRING)
				names_add(p, names, jval_str(e));
	for (b = 0; b < NELEMS(branches); b++) {
		list = jdoc_gets(schema, branches[b]);
		if (list == NULL || jval_kind(list) != JDOC_ARRAY)
			continue;
		for (e = list + 1, i = 0; i < list->len; i++, e = jval_next(e))
			names_allowed(p, names, e, hops + 1);
	}
}

/* The schema of the header that names the resource; letter case is no matter.
 */
static const struct jval *
resource_header(const struct place *p, const struct jval *message)
{
	const struct jval *root = asyncapi_root(p->doc), *all, *e;
	size_t i;

	all = asyncapi_resolve(root, jdoc_gets(message, "headers"));
	all = jdoc_gets(all, "properties");
	if (all == NULL || jval_kind(all) != JDOC_OBJECT)
		return NULL;
	for (e = all + 1, i = 0; i < all->len; i++, e = jval_next(e + 1))
		if (str_eq_nocase(jval_str(e), RESOURCE_HEADER))
			return e + 1;
	return NULL;
}

/* The first line of the first of the candidates that says something. */
static const char *
pick_summary(struct place *p, const struct jval *message)
{
	struct str s[4], line;
	size_t i, n;

	s[0] = jdoc_get_str(message, "summary");
	s[1] = jdoc_get_str(p->operation, "summary");
	s[2] = jdoc_get_str(message, "title");
	s[3] = jdoc_get_str(p->item, "description");
	for (i = 0; i < NELEMS(s); i++) {
		line = s[i];
		for (n = 0; n < line.len && line.data[n] != '\n'; n++)
			continue;
		line.len = n;
		line = cut_last(cut_last(line, ' '), '.');
		if (line.len > 0)
			return arena_strndup(
			    &p->doc->arena, line.data, line.len);
	}
	return "";
}

/* ---- messages ----------------------------------------------------------- */

/* Whether the schema language of the payload is ours. */
static int
check_format(struct place *p, const struct jval *message)
{
	static const char *const ours[] = {"application/vnd.aai.asyncapi",
	    "application/schema+json", "application/schema+yaml"};
	struct str format = jdoc_get_str(message, "schemaFormat");
	size_t i, n;

	if (format.data == NULL)
		return 0;
	for (i = 0; i < NELEMS(ours); i++) {
		n = strlen(ours[i]);
		if (format.len >= n && memcmp(format.data, ours[i], n) == 0)
			return 0;
	}
	return err_set(p->err, ERR_INVALID,
	    "%s/schemaFormat: payloads in %.*s are not supported, only JSON "
	    "Schema is",
	    buf_text(&p->pointer), (int)format.len, format.data);
}

/* Take up the message at ${p}. */
static int
add_message(struct place *p, const struct jval *v)
{
	struct asyncapi *doc = p->doc;
	struct asyncapi_message m;
	struct names names = {NULL, 0, 0};

	memset(&m, 0, sizeof(m));
	v = follow(p, v);
	if (v == NULL)
		return -1;
	if (jval_kind(v) != JDOC_OBJECT)
		return fail(p, "a message must be an object");
	if (check_format(p, v) == -1)
		return -1;

	/* For which resources it is. */
	m.channel = arena_strndup(&doc->arena, p->channel.data, p->channel.len);
	names_allowed(p, &names, resource_header(p, v), 0);
	if (names.n == 0)
		names_add(p, &names, p->channel);
	m.nresources = names.n;
	m.resources = names_keep(p, &names);

	/* What its body must look like. */
	m.payload = jdoc_gets(v, "payload");
	if (m.payload != NULL && schema_compile(asyncapi_root(doc), m.payload,
				     &m.schema, p->err) == -1)
		return -1;
	memset(&names, 0, sizeof(names));
	names_allowed(p, &names,
	    asyncapi_property(asyncapi_root(doc), m.payload, "action"), 0);
	m.nactions = names.n;
	m.actions = names_keep(p, &names);

	m.summary = pick_summary(p, v);
	m.examples = jdoc_gets(v, "examples");
	if (m.examples != NULL && jval_kind(m.examples) != JDOC_ARRAY)
		m.examples = NULL;

	doc->messages = mem_grow(
	    doc->messages, &doc->cap, doc->n + 1, sizeof(*doc->messages));
	doc->messages[doc->n++] = m;
	return 0;
}

/* Take up what the channel's operation ${name} carries. */
static int
add_operation(struct place *p, const char *name)
{
	const struct jval *message, *list, *e;
	size_t i, at = p->pointer.len, inner;
	int rc = 0;

	p->operation = jdoc_gets(p->item, name);
	message = jdoc_gets(p->operation, "message");
	if (message == NULL)
		return 0;
	jpath_put_key(&p->pointer, str_of(name));
	jpath_put_key(&p->pointer, STR("message"));
	list = jdoc_gets(message, "oneOf");
	if (list == NULL)
		rc = add_message(p, message);
	else {
		jpath_put_key(&p->pointer, STR("oneOf"));
		if (jval_kind(list) != JDOC_ARRAY)
			return fail(p, "must be a list of messages");
		inner = p->pointer.len;
		for (e = list + 1, i = 0; rc == 0 && i < list->len;
		     i++, e = jval_next(e)) {
			jpath_put_index(&p->pointer, i);
			rc = add_message(p, e);
			if (rc == 0)
				cut_pointer(p, inner);
		}
	}
	if (rc == 0)
		cut_pointer(p, at);
	return rc;
}

static int
add_channel(struct place *p)
{
	p->item = follow(p, p->item);
	if (p->item == NULL)
		return -1;
	if (p->channel.len == 0)
		return fail(p, "a channel needs a name");
	if (jval_kind(p->item) != JDOC_OBJECT)
		return fail(p, "a channel must be an object");
	if (add_operation(p, "subscribe") == -1)
		return -1;
	return add_operation(p, "publish");
}

/* Take up every channel of the document. */
static int
add_channels(struct asyncapi *doc, struct err *err)
{
	struct place p = {doc, {NULL, 0}, NULL, NULL, BUF_INIT, err};
	const struct jval *channels, *e;
	struct str version;
	size_t i;
	int rc = -1;

	version = jdoc_get_str(asyncapi_root(doc), "asyncapi");
	channels = jdoc_gets(asyncapi_root(doc), "channels");
	if (version.data == NULL) {
		(void)fail(&p,
		    "not an AsyncAPI document: it has no `asyncapi` with the "
		    "version as text, such as 2.6.0");
		goto out;
	}
	if (version.len < 2 || memcmp(version.data, "2.", 2) != 0) {
		(void)err_set(err, ERR_INVALID,
		    "/asyncapi: version %.*s is not supported, 2.x is",
		    (int)version.len, version.data);
		goto out;
	}
	buf_puts(&p.pointer, "/channels");
	if (channels == NULL || jval_kind(channels) != JDOC_OBJECT) {
		(void)fail(&p, "must be an object with a channel each");
		goto out;
	}
	for (e = channels + 1, i = 0; i < channels->len;
	     i++, e = jval_next(e + 1)) {
		cut_pointer(&p, sizeof("/channels") - 1);
		p.channel = jval_str(e);
		p.item = e + 1;
		jpath_put_key(&p.pointer, p.channel);
		if (add_channel(&p) == -1)
			goto out;
	}
	cut_pointer(&p, sizeof("/channels") - 1);
	if (doc->n == 0) {
		(void)fail(&p, "no channel has a message under subscribe or "
			       "publish");
		goto out;
	}
	rc = 0;
out:
	buf_free(&p.pointer);
	return rc;
}

/* ---- the document ------------------------------------------------------- */

/* Whether ${text} is meant to be JSON: so it says, or so it begins. */
static int
looks_like_json(const char *name, struct str text)
{
	size_t i = 0, n = strlen(name);

	if (n > 5 && strcmp(name + n - 5, ".json") == 0)
		return 1;
	while (i < text.len && strchr(" \t\r\n", text.data[i]) != NULL &&
	       text.data[i] != '\0')
		i++;
	return i < text.len && text.data[i] == '{';
}

/* The line of the byte at ${offset}, from 1. */
static size_t
line_at(struct str text, size_t offset)
{
	size_t i, line = 1;

	for (i = 0; i < offset && i < text.len; i++)
		line += text.data[i] == '\n';
	return line;
}

/* Turn ${text} into doc->doc. */
static int
parse(struct asyncapi *doc, struct str text, struct err *err)
{
	size_t offset = 0;

	if (looks_like_json(doc->name, text)) {
		buf_put(&doc->json, text.data, text.len);
		if (jdoc_parse(&doc->doc, buf_text(&doc->json), doc->json.len,
			&offset, err) == -1)
			return err_prefix(
			    err, "line %zu", line_at(text, offset));
		return 0;
	}
	if (yamljson_convert(text.data, text.len, &doc->json, err) == -1)
		return -1;
	return jdoc_parse(
	    &doc->doc, buf_text(&doc->json), doc->json.len, NULL, err);
}

int
asyncapi_read(const char *name, struct str text, struct asyncapi **ret_doc,
    struct err *err)
{
	struct asyncapi *doc;

	doc = mem_zalloc(sizeof(*doc));
	doc->name = mem_strdup(name);
	if (parse(doc, text, err) == -1 || add_channels(doc, err) == -1) {
		(void)err_prefix(err, "%s", name);
		asyncapi_free(doc);
		return -1;
	}
	*ret_doc = doc;
	return 0;
}

void
asyncapi_free(struct asyncapi *doc)
{
	size_t i;

	if (doc == NULL)
		return;
	for (i = 0; i < doc->n; i++)
		schema_free(doc->messages[i].schema);
	free(doc->messages);
	arena_free(&doc->arena);
	jdoc_free(&doc->doc);
	buf_free(&doc->json);
	free(doc->name);
	free(doc);
}

const char *
asyncapi_name(const struct asyncapi *doc)
{
	return doc->name;
}

const struct jval *
asyncapi_root(const struct asyncapi *doc)
{
	return jdoc_root(&doc->doc);
}

const struct asyncapi_message *
asyncapi_messages(const struct asyncapi *doc, size_t *ret_n)
{
	*ret_n = doc->n;
	return doc->messages;
}
