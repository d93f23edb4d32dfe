#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include "catalog/yamljson.h"

/* A mapping's keys are compared with one another, so there is an end to them.
 */
#define MAX_MEMBERS 10000U

/* Mappings that are looked at for merge keys: they could multiply unseen. */
#define MAX_MERGES 100000

#define TAG_PREFIX "tag:yaml.org,2002:"

enum node_kind {
	NODE_SCALAR,
	NODE_SEQUENCE,
	NODE_MAPPING, /* Its children: key, value, key, value. */
	NODE_ALIAS,
};

struct node {
	enum node_kind kind;
	int plain;        /* A scalar without quotes: may be other than text. */
	int open;         /* A container whose end has not come yet. */
	const char *want; /* A scalar's tag ("int"), or NULL. */
	struct str text;
	size_t line; /* From 1. */
	size_t n;    /* Children. */
	struct node *first;
	struct node *last;
	struct node *next;          /* The next child of the same parent. */
	const struct node *aliased; /* NODE_ALIAS: what it stands for. */
};

struct anchor {
	const char *name;
	const struct node *node;
	struct anchor *next; /* Older. */
};

/* One conversion. */
struct reader {
	struct arena arena; /* Nodes and their text. */
	struct anchor *anchors;
	struct node *root;
	struct node *open[YAMLJSON_MAX_DEPTH];
	size_t depth;
	size_t documents;
	size_t merges;
	struct buf *out;
	size_t start; /* Where our part of ${out} begins. */
	struct err *err;
};

/* A mapping's members, merge keys expanded. */
struct member {
	const struct node *key;
	const struct node *value;
	uint64_t hash;
	int own; /* Written in the mapping itself. */
};
struct members {
	struct member *at;
	size_t n;
	size_t cap;
};

/* ---- reading ------------------------------------------------------------ */

/* Put ${node} under the innermost open container. */
static int
attach(struct reader *r, struct node *node)
{
	struct node *parent;

	if (r->depth == 0) {
		r->root = node;
		return 0;
	}
	parent = r->open[r->depth - 1];
	if (parent->kind == NODE_MAPPING && parent->n % 2 == 0 &&
	    node->kind != NODE_SCALAR)
		return err_set(r->err, ERR_INVALID,
		    "line %zu: a key must be a plain name, not a list, a "
		    "mapping or an alias",
		    node->line);
	if (parent->last == NULL)
		parent->first = node;
	else
		parent->last->next = node;
	parent->last = node;
	parent->n++;
	if (parent->kind == NODE_MAPPING && parent->n / 2 > MAX_MEMBERS)
		return err_set(r->err, ERR_TOO_LARGE,
		    "line %zu: more than %u keys in one mapping", node->line,
		    MAX_MEMBERS);
	return 0;
}

/* Make a node, with the anchor that it may have. */
static struct node *
make_node(struct reader *r, enum node_kind kind, const yaml_event_t *ev,
    const yaml_char_t *name)
{
	struct node *node;
	struct anchor *anchor;

	node = arena_zalloc(&r->arena, sizeof(*node));
	node->kind = kind;
	node->line = ev->start_mark.line + 1;
	if (name != NULL) {
		anchor = arena_zalloc(&r->arena, sizeof(*anchor));
		anchor->name = arena_strndup(
		    &r->arena, (const char *)name, strlen((const char *)name));
		anchor->node = node;
		anchor->next = r->anchors;
		r->anchors = anchor;
	}
	return node;
}

static int
read_scalar(struct reader *r, const yaml_event_t *ev)
{
	static const char *const known[] = {
	    "str", "int", "float", "bool", "null"};
	const char *tag = (const char *)ev->data.scalar.tag;
	struct node *node;
	size_t i;

	node = make_node(r, NODE_SCALAR, ev, ev->data.scalar.anchor);
	node->text.data = arena_strndup(&r->arena,
	    (const char *)ev->data.scalar.value, ev->data.scalar.length);
	node->text.len = ev->data.scalar.length;
	node->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (tag != NULL && strcmp(tag, "!") == 0)
		node->want = "str";
	else if (tag != NULL) {
		for (i = 0; i < NELEMS(known); i++)
			if (strncmp(tag, TAG_PREFIX, sizeof(TAG_PREFIX) - 1) ==
				0 &&
			    strcmp(tag + sizeof(TAG_PREFIX) - 1, known[i]) == 0)
				node->want = known[i];
		if (node->want == NULL)
			return err_set(r->err, ERR_INVALID,
			    "line %zu: the tag %s means nothing in JSON",
			    node->line, tag);
	}
	return attach(r, node);
}

static int
read_container(struct reader *r, enum node_kind kind, const yaml_event_t *ev)
{
	const yaml_char_t *tag, *anchor;
	const char *mine;
	struct node *node;

	if (kind == NODE_MAPPING) {
		tag = ev->data.mapping_start.tag;
		anchor = ev->data.mapping_start.anchor;
		mine = TAG_PREFIX "map";
	} else {
		tag = ev->data.sequence_start.tag;
		anchor = ev->data.sequence_start.anchor;
		mine = TAG_PREFIX "seq";
	}
	node = make_node(r, kind, ev, anchor);
	node->open = 1;
	if (tag != NULL && strcmp((const char *)tag, "!") != 0 &&
	    strcmp((const char *)tag, mine) != 0)
		return err_set(r->err, ERR_INVALID,
		    "line %zu: the tag %s means nothing in JSON", node->line,
		    (const char *)tag);
	if (attach(r, node) == -1)
		return -1;
	if (r->depth == YAMLJSON_MAX_DEPTH)
		return err_set(r->err, ERR_TOO_LARGE,
		    "line %zu: nested deeper than %d", node->line,
		    YAMLJSON_MAX_DEPTH);
	r->open[r->depth++] = node;
	return 0;
}

static int
read_alias(struct reader *r, const yaml_event_t *ev)
{
	const char *name = (const char *)ev->data.alias.anchor;
	const struct anchor *anchor;
	struct node *node;

	for (anchor = r->anchors; anchor != NULL; anchor = anchor->next)
		if (strcmp(anchor->name, name) == 0)
			break;
	node = make_node(r, NODE_ALIAS, ev, NULL);
	if (anchor == NULL)
		return err_set(r->err, ERR_INVALID,
		    "line %zu: there is no anchor &%s before *%s", node->line,
		    name, name);
	if (anchor->node->open)
		return err_set(r->err, ERR_INVALID,
		    "line %zu: *%s stands within its own anchor", node->line,
		    name);
	node->aliased = anchor->node;
	return attach(r, node);
}

static int
read_event(struct reader *r, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->documents++ > 0)
			return err_set(r->err, ERR_INVALID,
			    "line %zu: a second document begins here; a file "
			    "must hold one",
			    ev->start_mark.line + 1);
		return 0;
	case YAML_SCALAR_EVENT:
		return read_scalar(r, ev);
	case YAML_SEQUENCE_START_EVENT:
		return read_container(r, NODE_SEQUENCE, ev);
	case YAML_MAPPING_START_EVENT:
		return read_container(r, NODE_MAPPING, ev);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		assert(r->depth > 0 && r->open[r->depth - 1] != NULL);
		r->open[--r->depth]->open = 0;
		return 0;
	case YAML_ALIAS_EVENT:
		return read_alias(r, ev);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
	default:
		return 0;
	}
}

/* Read the whole text into nodes. */
static int
read_all(struct reader *r, const char *text, size_t len)
{
	yaml_parser_t parser;
	yaml_event_t ev;
	int done = 0, bad, rc = -1;

	if (!yaml_parser_initialize(&parser)) {
		(void)err_set(r->err, ERR_INTERNAL, "libyaml does not start");
		return -1;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (!done) {
		if (!yaml_parser_parse(&parser, &ev)) {
			(void)err_set(r->err, ERR_INVALID, "line %zu: %s%s%s",
			    parser.problem_mark.line + 1,
			    parser.problem == NULL ? "not YAML"
						   : parser.problem,
			    parser.context == NULL ? "" : " ",
			    parser.context == NULL ? "" : parser.context);
			goto out;
		}
		done = ev.type == YAML_STREAM_END_EVENT;
		bad = read_event(r, &ev);
		yaml_event_delete(&ev);
		if (bad)
			goto out;
	}
	if (r->root == NULL) {
		(void)err_set(
		    r->err, ERR_INVALID, "line 1: there is nothing in it");
		goto out;
	}
	rc = 0;
out:
	yaml_parser_delete(&parser);
	return rc;
}

/* ---- scalars ------------------------------------------------------------ */

static int
is_any_of(struct str s, const char *const *words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (str_eq(s, str_of(words[i])))
			return 1;
	return 0;
}

/* How many characters at ${i} are decimal digits. */
static size_t
digits(struct str s, size_t i)
{
	size_t n = 0;

	while (i + n < s.len && s.data[i + n] >= '0' && s.data[i + n] <= '9')
		n++;
	return n;
}

/* Append digits as JSON has them: no zero in front but a single one. */
static void
put_digits(struct buf *out, const char *s, size_t n)
{
	while (n > 1 && *s == '0') {
		s++;
		n--;
	}
	buf_put(out, n == 0 ? "0" : s, n == 0 ? 1 : n);
}

/*
 * If ${s} is a decimal number of the core schema, append it as JSON and return
 * "int" or "float"; else NULL.
 */
static const char *
put_decimal(struct buf *out, struct str s)
{
	size_t i = 0, whole, part = 0, point = 0, exp_at = 0, exp_n = 0;
	int minus = 0, has_point = 0;

	if (s.len > 0 && (s.data[0] == '-' || s.data[0] == '+'))
		minus = s.data[i++] == '-';
	whole = digits(s, i);
	point = i + whole;
	if (point < s.len && s.data[point] == '.') {
		has_point = 1;
		part = digits(s, point + 1);
	}
	if (whole + part == 0)
		return NULL;
	i = point + (has_point ? 1 + part : 0);
	if (i < s.len && (s.data[i] == 'e' || s.data[i] == 'E')) {
		exp_at = i++;
		if (i < s.len && (s.data[i] == '-' || s.data[i] == '+'))
			i++;
		exp_n = digits(s, i);
		if (exp_n == 0)
			return NULL;
		i += exp_n;
	}
	if (i != s.len)
		return NULL;
	if (minus)
		buf_putc(out, '-');
	put_digits(out, s.data + point - whole, whole);
	if (part > 0) {
		buf_putc(out, '.');
		buf_put(out, s.data + point + 1, part);
	} else if (has_point && exp_n == 0)
		buf_puts(out, ".0");
	if (exp_n > 0)
		buf_put(out, s.data + exp_at, s.len - exp_at);
	return has_point || exp_n > 0 ? "float" : "int";
}

/* The same for `0x1F` and `0o17`. */
static const char *
put_based(struct buf *out, struct str s)
{
	uint64_t v = 0;
	unsigned int base, digit;
	size_t i;
	char c;

	if (s.len < 3 || s.data[0] != '0' ||
	    (s.data[1] != 'x' && s.data[1] != 'o'))
		return NULL;
	base = s.data[1] == 'x' ? 16 : 8;
	for (i = 2; i < s.len; i++) {
		c = s.data[i];
		if (c >= '0' && c <= '9')
			digit = (unsigned int)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (unsigned int)((c | 0x20) - 'a') + 10;
		else
			return NULL;
		if (digit >= base || v > (UINT64_MAX - digit) / base)
			return NULL;
		v = v * base + digit;
	}
	buf_printf(out, "%llu", (unsigned long long)v);
	return "int";
}

/* Append a plain scalar that is not text, and return its type; else NULL. */
static const char *
put_typed(struct buf *out, struct str s)
{
	static const char *const nulls[] = {"null", "Null", "NULL", "~", ""};
	static const char *const yes[] = {"true", "True", "TRUE"};
	static const char *const no[] = {"false", "False", "FALSE"};
	const char *type;

	if (is_any_of(s, nulls, NELEMS(nulls))) {
		buf_puts(out, "null");
		return "null";
	}
	if (is_any_of(s, yes, NELEMS(yes)) || is_any_of(s, no, NELEMS(no))) {
		buf_puts(out, (s.data[0] | 0x20) == 't' ? "true" : "false");
		return "bool";
	}
	type = put_decimal(out, s);
	return type != NULL ? type : put_based(out, s);
}

static int
emit_scalar(struct reader *r, const struct node *node)
{
	static const char *const endless[] = {".inf", ".Inf", ".INF", "+.inf",
	    "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", ".nan", ".NaN",
	    ".NAN"};
	const char *want = node->want, *type;

	if (want == NULL ? !node->plain : strcmp(want, "str") == 0) {
		str_put_json(r->out, node->text);
		return 0;
	}
	if (is_any_of(node->text, endless, NELEMS(endless)))
		return err_set(r->err, ERR_INVALID,
		    "line %zu: JSON has no %.*s", node->line,
		    (int)node->text.len, node->text.data);
	type = put_typed(r->out, node->text);
	if (want == NULL) {
		if (type == NULL)
			str_put_json(r->out, node->text);
		return 0;
	}
	if (type == NULL ||
	    (strcmp(type, want) != 0 &&
		!(strcmp(want, "float") == 0 && strcmp(type, "int") == 0)))
		return err_set(r->err, ERR_INVALID, "line %zu: this is no !!%s",
		    node->line, want);
	return 0;
}

/* ---- containers --------------------------------------------------------- */

static const struct node *
unalias(const struct node *node)
{
	if (node->kind == NODE_ALIAS)
		node = node->aliased;
	assert(node != NULL);
	return node;
}

static int
is_merge_key(const struct node *key)
{
	return key->plain && key->want == NULL && str_eq(key->text, STR("<<"));
}

static struct member *
find_member(struct members *m, const struct node *key, uint64_t hash)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		if (m->at[i].hash == hash &&
		    str_eq(m->at[i].key->text, key->text))
			return &m->at[i];
	return NULL;
}

static void
add_member(struct members *m, const struct node *key, const struct node *value,
    uint64_t hash, int own)
{
	m->at = mem_grow(m->at, &m->cap, m->n + 1, sizeof(*m->at));
	m->at[m->n++] = (struct member){key, value, hash, own};
}

static int gather(
    struct reader *r, const struct node *map, size_t depth, struct members *m);

/* Add what the mapping ${source} has and ${m} has not. */
static int
merge(struct reader *r, const struct node *source, size_t depth,
    struct members *m)
{
	struct members theirs = {NULL, 0, 0};
	size_t i;
	int rc;

	if (source->kind != NODE_MAPPING)
		return err_set(r->err, ERR_INVALID,
		    "line %zu: << takes a mapping or a list of mappings",
		    source->line);
	if (++r->merges > MAX_MERGES)
		return err_set(r->err, ERR_TOO_LARGE,
		    "line %zu: too many merge keys", source->line);
	rc = gather(r, source, depth + 1, &theirs);
	for (i = 0; rc == 0 && i < theirs.n; i++)
		if (find_member(m, theirs.at[i].key, theirs.at[i].hash) == NULL)
			add_member(m, theirs.at[i].key, theirs.at[i].value,
			    theirs.at[i].hash, 0);
	free(theirs.at);
	return rc;
}

/* Collect the members of ${map}: what it merges in, then its own. */
static int
gather(
    struct reader *r, const struct node *map, size_t depth, struct members *m)
{
	const struct node *key, *value, *e;
	struct member *old;
	uint64_t hash;

	if (depth > YAMLJSON_MAX_DEPTH)
		return err_set(r->err, ERR_TOO_LARGE,
		    "line %zu: nested deeper than %d", map->line,
		    YAMLJSON_MAX_DEPTH);
	for (key = map->first; key != NULL; key = key->next->next) {
		if (!is_merge_key(key))
			continue;
		value = unalias(key->next);
		if (value->kind != NODE_SEQUENCE) {
			if (merge(r, value, depth, m) == -1)
				return -1;
			continue;
		}
		for (e = value->first; e != NULL; e = e->next)
			if (merge(r, unalias(e), depth, m) == -1)
				return -1;
	}
	for (key = map->first; key != NULL; key = key->next->next) {
		if (is_merge_key(key))
			continue;
		hash = str_hash(key->text);
		old = find_member(m, key, hash);
		if (old == NULL)
			add_member(m, key, key->next, hash, 1);
		else if (old->own)
			return err_set(r->err, ERR_INVALID,
			    "line %zu: the key \"%.*s\" was there before, in "
			    "line %zu",
			    key->line, (int)key->text.len, key->text.data,
			    old->key->line);
		else
			*old = (struct member){key, key->next, hash, 1};
	}
	return 0;
}

static int emit(struct reader *r, const struct node *node, size_t depth);

static int
emit_mapping(struct reader *r, const struct node *node, size_t depth)
{
	struct members m = {NULL, 0, 0};
	size_t i;
	int rc;

	rc = gather(r, node, depth, &m);
	buf_putc(r->out, '{');
	for (i = 0; rc == 0 && i < m.n; i++) {
		if (i > 0)
			buf_putc(r->out, ',');
		str_put_json(r->out, m.at[i].key->text);
		buf_putc(r->out, ':');
		rc = emit(r, m.at[i].value, depth + 1);
	}
	buf_putc(r->out, '}');
	free(m.at);
	return rc;
}

/* Append the JSON of ${node}. */
static int
emit(struct reader *r, const struct node *node, size_t depth)
{
	const struct node *e;
	size_t line = node->line;

	node = unalias(node);
	if (depth > YAMLJSON_MAX_DEPTH)
		return err_set(r->err, ERR_TOO_LARGE,
		    "line %zu: nested deeper than %d", line,
		    YAMLJSON_MAX_DEPTH);
	if (r->out->len - r->start > YAMLJSON_MAX_OUTPUT)
		return err_set(r->err, ERR_TOO_LARGE,
		    "line %zu: more than %u bytes with aliases expanded", line,
		    YAMLJSON_MAX_OUTPUT);
	if (node->kind == NODE_SCALAR)
		return emit_scalar(r, node);
	if (node->kind == NODE_MAPPING)
		return emit_mapping(r, node, depth);
	buf_putc(r->out, '[');
	for (e = node->first; e != NULL; e = e->next) {
		if (e != node->first)
			buf_putc(r->out, ',');
		if (emit(r, e, depth + 1) == -1)
			return -1;
	}
	buf_putc(r->out, ']');
	return 0;
}

int
yamljson_convert(const char *text, size_t len, struct buf *out, struct err *err)
{
	struct reader r;
	int rc;

	memset(&r, 0, sizeof(r));
	r.out = out;
	r.start = out->len;
	r.err = err;
	rc = read_all(&r, text, len);
	if (rc == 0)
		rc = emit(&r, r.root, 1);
	if (rc == -1 && out->len > r.start) {
		out->len = r.start;
		out->data[out->len] = '\0';
	}
	arena_free(&r.arena);
	return rc;
}
