#include <sys/random.h>

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/str.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "catalog/asyncapi.h"

#include "catalog/samplegen.h"

/* Below this only what is required is made: schemas may contain themselves. */
#define FULL_DEPTH 6
#define MAX_DEPTH 24

/* A schema and what its allOf, anyOf and oneOf add to it. */
#define MAX_PARTS 24

#define MAX_ITEMS 16
#define MAX_REPEAT 64

struct parts {
	const struct jval *at[MAX_PARTS];
	size_t n;
};

/* The state of one samplegen_put(). */
struct maker {
	const struct samplegen *gen;
	struct jwrite w;
};

static void make(struct maker *m, const struct jval *schema, struct str name,
    unsigned int depth);
static void make_parts(struct maker *m, const struct parts *parts,
    struct str name, unsigned int depth);

/* ---- random ------------------------------------------------------------- */

void
samplegen_random(void *p, size_t n)
{
	uint64_t fallback;
	unsigned char *at = p;
	size_t i;

	if (getrandom(p, n, 0) == (ssize_t)n)
		return;
	/* A kernel that is not ready gives none; a clock will do for samples.
	 */
	fallback = clock_mono_ns() * 0x9E3779B97F4A7C15U;
	for (i = 0; i < n; i++) {
		fallback =
		    fallback * 6364136223846793005U + 1442695040888963407U;
		at[i] = (unsigned char)(fallback >> 56);
	}
}

void
samplegen_put_digits(struct buf *out, size_t n)
{
	unsigned char r;
	size_t i;

	for (i = 0; i < n; i++) {
		samplegen_random(&r, 1);
		buf_putc(out, (char)(i == 0 ? '1' + r % 8 : '0' + r % 10));
	}
}

void
samplegen_put_uuid(struct buf *out)
{
	unsigned char r[16];
	size_t i;

	samplegen_random(r, sizeof(r));
	r[6] = (unsigned char)((r[6] & 0x0F) | 0x40);
	r[8] = (unsigned char)((r[8] & 0x3F) | 0x80);
	for (i = 0; i < sizeof(r); i++)
		buf_printf(out, "%s%02x",
		    i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", r[i]);
}

/* ---- patterns ----------------------------------------------------------- */

/* Text for a regular expression, the shortest way through it. */
struct pattern {
	const char *at;
	const char *end;
	struct buf *out;
	unsigned int depth;
};

static void pattern_branch(struct pattern *p, int put);

/* A character of the class that \${c} names, or ${c} itself. */
static char
class_char(char c)
{
	switch (c) {
	case 'd':
		return '7';
	case 'w':
	case 'D':
	case 'S':
		return 'a';
	case 's':
	case 'W':
		return ' ';
	case 'n':
		return '\n';
	case 't':
		return '\t';
	default:
		return c;
	}
}

/* Read a bracket expression and put a character that it allows. */
static void
pattern_set(struct pattern *p, int put)
{
	static const char candidates[] = "aA0_-. ~";
	unsigned char in[256] = {0};
	int negated = 0, first = 1, low, high;
	size_t i;
	char c;

	if (p->at < p->end && *p->at == '^') {
		negated = 1;
		p->at++;
	}
	c = 'a';
	for (; p->at < p->end && *p->at != ']'; first = 0) {
		low = (unsigned char)*p->at++;
		if (low == '\\' && p->at < p->end)
			low = (unsigned char)class_char(*p->at++);
		high = low;
		if (p->end - p->at > 1 && p->at[0] == '-' && p->at[1] != ']') {
			high = (unsigned char)p->at[1];
			p->at += 2;
		}
		if (first)
			c = (char)low;
		for (; low <= high; low++)
			in[low] = 1;
	}
	if (p->at < p->end)
		p->at++;
	if (negated)
		for (i = 0; i < sizeof(candidates) - 1; i++)
			if (!in[(unsigned char)candidates[i]]) {
				c = candidates[i];
				break;
			}
	if (put)
		buf_putc(p->out, c);
}

/* Read a group; of its branches the first is put. */
static void
pattern_group(struct pattern *p, int put)
{
	if (p->end - p->at > 1 && p->at[0] == '?') {
		/* Look-around asserts and puts nothing. */
		put = put && p->at[1] == ':';
		p->at += 2;
	}
	pattern_branch(p, put);
	while (p->at < p->end && *p->at == '|') {
		p->at++;
		pattern_branch(p, 0);
	}
	if (p->at < p->end)
		p->at++;
}

/* Read one atom. */
static void
pattern_atom(struct pattern *p, int put)
{
	char c = *p->at++;

	if (c == '[') {
		pattern_set(p, put);
		return;
	}
	if (c == '(') {
		pattern_group(p, put);
		return;
	}
	if (c == '^' || c == '$')
		return;
	if (c == '\\' && p->at < p->end) {
		c = *p->at++;
		if (c == 'b' || c == 'B')
			return;
		c = class_char(c);
	} else if (c == '.')
		c = 'a';
	if (put)
		buf_putc(p->out, c);
}

/* Read a quantifier, if one is there: how often the atom must be. */
static unsigned int
pattern_times(struct pattern *p)
{
	unsigned int n = 1;

	if (p->at == p->end)
		return 1;
	if (*p->at == '*' || *p->at == '?')
		n = 0;
	else if (*p->at == '{' && p->end - p->at > 1 && p->at[1] >= '0' &&
		 p->at[1] <= '9') {
		for (n = 0, p->at++; p->at < p->end && *p->at >= '0' &&
				     *p->at <= '9' && n < 10000;
		     p->at++)
			n = n * 10 + (unsigned int)(*p->at - '0');
		while (p->at < p->end && *p->at != '}')
			p->at++;
	} else if (*p->at != '+')
		return 1;
	if (p->at < p->end)
		p->at++;
	if (p->at < p->end && (*p->at == '?' || *p->at == '+'))
		p->at++;
	return n;
}

/* Read atoms up to the branch's end. */
static void
pattern_branch(struct pattern *p, int put)
{
	struct pattern atom;
	const char *after;
	unsigned int n, i;

	if (++p->depth > MAX_DEPTH) {
		p->at = p->end;
		put = 0;
	}
	while (p->at < p->end && *p->at != '|' && *p->at != ')') {
		atom = *p;
		pattern_atom(p, 0);
		n = pattern_times(p);
		after = p->at;
		for (i = 0; put && i < n && i < MAX_REPEAT; i++) {
			p->at = atom.at;
			pattern_atom(p, 1);
		}
		p->at = after;
	}
	p->depth--;
}

/* ---- schemas ------------------------------------------------------------ */

/* Collect ${schema} and what belongs to it. */
static void
collect(const struct maker *m, struct parts *parts, const struct jval *schema)
{
	static const char *const choices[] = {"anyOf", "oneOf"};
	const struct jval *list, *e;
	size_t i;

	schema = asyncapi_resolve(m->gen->root, schema);
	if (schema == NULL || jval_kind(schema) != JDOC_OBJECT ||
	    parts->n == MAX_PARTS)
		return;
	parts->at[parts->n++] = schema;
	list = jdoc_gets(schema, "allOf");
	if (list != NULL && jval_kind(list) == JDOC_ARRAY)
		for (e = list + 1, i = 0; i < list->len; i++, e = jval_next(e))
			collect(m, parts, e);
	for (i = 0; i < NELEMS(choices); i++) {
		list = jdoc_gets(schema, choices[i]);
		if (list != NULL && jval_kind(list) == JDOC_ARRAY &&
		    list->len > 0)
			collect(
			    m, parts, jdoc_at(list, m->gen->turn % list->len));
	}
}

/* The first part's value of a keyword, or NULL. */
static const struct jval *
keyword(const struct parts *parts, const char *name)
{
	const struct jval *v;
	size_t i;

	for (i = 0; i < parts->n; i++) {
		v = jdoc_gets(parts->at[i], name);
		if (v != NULL)
			return v;
	}
	return NULL;
}

/* A keyword that is a number, or ${otherwise}. */
static double
number(const struct parts *parts, const char *name, double otherwise)
{
	const struct jval *v = keyword(parts, name);

	return v != NULL && jval_is_number(v) ? jval_double(v) : otherwise;
}

/* The type to make. */
static struct str
pick_type(const struct parts *parts, unsigned int depth)
{
	static const struct {
		const char *keyword;
		struct str type;
	} hints[] = {
	    {"properties", {"object", 6}},
	    {"required", {"object", 6}},
	    {"items", {"array", 5}},
	    {"minItems", {"array", 5}},
	    {"minimum", {"number", 6}},
	    {"maximum", {"number", 6}},
	    {"exclusiveMinimum", {"number", 6}},
	    {"multipleOf", {"number", 6}},
	};
	const struct jval *type = keyword(parts, "type"), *e;
	size_t i;

	if (type != NULL && jval_kind(type) == JDOC_STRING)
		return jval_str(type);
	if (type != NULL && jval_kind(type) == JDOC_ARRAY)
		for (e = type + 1, i = 0; i < type->len; i++, e = jval_next(e))
			if (jval_kind(e) == JDOC_STRING &&
			    !str_eq(jval_str(e), STR("null")))
				return jval_str(e);
	for (i = 0; i < NELEMS(hints); i++)
		if (keyword(parts, hints[i].keyword) != NULL)
			return hints[i].type;
	return depth == 0 ? STR("object") : STR("string");
}

/* Whether ${name} ends in ${end}, as `issueId` and `issue_id` end in "id". */
static int
ends_in(struct str name, struct str end)
{
	struct str tail;

	if (name.len < end.len)
		return 0;
	tail = (struct str){name.data + name.len - end.len, end.len};
	if (!str_eq_nocase(tail, end))
		return 0;
	return name.len == end.len ||
	       name.data[name.len - end.len - 1] == '_' ||
	       (tail.data[0] >= 'A' && tail.data[0] <= 'Z');
}

/* Text by what its property is called. */
static void
put_by_name(const struct maker *m, struct buf *s, struct str name)
{
	char time[CLOCK_RFC3339_SIZE];

	if (ends_in(name, STR("id")))
		samplegen_put_digits(s, 10);
	else if (ends_in(name, STR("uuid")))
		samplegen_put_uuid(s);
	else if (ends_in(name, STR("url")) || ends_in(name, STR("uri")))
		buf_puts(s, "https://sentry.example/sample/");
	else if (ends_in(name, STR("at")) || ends_in(name, STR("timestamp")) ||
		 ends_in(name, STR("time")) || ends_in(name, STR("date")))
		buf_puts(s, clock_rfc3339(m->gen->now_ms, time));
	else if (ends_in(name, STR("email")))
		buf_puts(s, "jane@example.com");
	else if (name.len > 0 && name.len < 64) {
		buf_puts(s, "sample-");
		buf_put(s, name.data, name.len);
	} else
		buf_puts(s, "sample");
}

/* Text of a format, or nothing if the format says nothing. */
static void
put_by_format(const struct maker *m, struct buf *s, struct str format)
{
	static const struct {
		const char *format;
		const char *text;
	} fixed[] = {
	    {"uri", "https://sentry.example/sample/"},
	    {"uri-reference", "/sample/"},
	    {"iri", "https://sentry.example/sample/"},
	    {"email", "jane@example.com"},
	    {"idn-email", "jane@example.com"},
	    {"hostname", "sentry.example"},
	    {"ipv4", "192.0.2.1"},
	    {"ipv6", "2001:db8::1"},
	    {"regex", "^a$"},
	    {"json-pointer", "/sample"},
	};
	char time[CLOCK_RFC3339_SIZE];
	size_t i;

	for (i = 0; i < NELEMS(fixed); i++)
		if (str_eq(format, str_of(fixed[i].format)))
			buf_puts(s, fixed[i].text);
	(void)clock_rfc3339(m->gen->now_ms, time);
	if (str_eq(format, STR("date-time")))
		buf_puts(s, time);
	else if (str_eq(format, STR("date")))
		buf_put(s, time, 10);
	else if (str_eq(format, STR("time")))
		buf_puts(s, time + 11);
	else if (str_eq(format, STR("uuid")))
		samplegen_put_uuid(s);
}

static void
make_string(struct maker *m, const struct parts *parts, struct str name)
{
	const struct jval *format = keyword(parts, "format");
	const struct jval *regex = keyword(parts, "pattern");
	double least = number(parts, "minLength", 0);
	double most = number(parts, "maxLength", 1 << 20);
	struct buf s = BUF_INIT;
	struct pattern p;

	if (regex != NULL && jval_kind(regex) == JDOC_STRING) {
		p.at = jval_str(regex).data;
		p.end = p.at + jval_str(regex).len;
		p.out = &s;
		p.depth = 0;
		pattern_branch(&p, 1);
	} else if (format != NULL && jval_kind(format) == JDOC_STRING)
		put_by_format(m, &s, jval_str(format));
	if (s.len == 0 && regex == NULL)
		put_by_name(m, &s, name);
	while ((double)s.len < least && s.len < 65536)
		buf_putc(&s, 'a');
	if ((double)s.len > most && most >= 0) {
		s.len = (size_t)most;
		s.data[s.len] = '\0';
	}
	jwrite_str(&m->w, (struct str){buf_text(&s), s.len});
	buf_free(&s);
}

static void
make_number(
    struct maker *m, const struct parts *parts, struct str name, int whole)
{
	double low = number(parts, "minimum", -HUGE_VAL);
	double high = number(parts, "maximum", HUGE_VAL);
	double above = number(parts, "exclusiveMinimum", -HUGE_VAL);
	double below = number(parts, "exclusiveMaximum", HUGE_VAL);
	double step = number(parts, "multipleOf", 0), v = 1;
	struct buf digits = BUF_INIT;
	uint64_t id = 0;

	if (low < above + (whole ? 1 : 0))
		low = whole ? floor(above) + 1 : above;
	if (high > below - (whole ? 1 : 0))
		high = whole ? ceil(below) - 1 : below;
	if (ends_in(name, STR("id")) && step == 0) {
		samplegen_put_digits(&digits, 8);
		(void)!str_parse_u64(
		    (struct str){digits.data, digits.len}, UINT64_MAX, &id);
		v = (double)id;
		buf_free(&digits);
	}
	if (v < low || v > high)
		v = isinf(low) ? high : low;
	/* An open interval is met in its middle, or beside its one end. */
	if (!whole && (v == above || v == below))
		v = isinf(low)    ? high - 1
		    : isinf(high) ? low + 1
				  : (low + high) / 2;
	if (step > 0)
		v = ceil(v / step) * step;
	if (whole && fabs(v) < 9e15)
		jwrite_int(&m->w, (int64_t)v);
	else
		jwrite_real(&m->w, v);
}

/* The schema of properties that are not named, or NULL. */
static const struct jval *
other_properties(const struct parts *parts)
{
	const struct jval *all = keyword(parts, "patternProperties");

	if (all != NULL && jval_kind(all) == JDOC_OBJECT && all->len > 0)
		return all + 2;
	return keyword(parts, "additionalProperties");
}

/* Whether a part before ${end} has the property as well. */
static int
made_before(const struct parts *parts, size_t end, struct str key)
{
	size_t i;

	for (i = 0; i < end; i++)
		if (jdoc_get(jdoc_gets(parts->at[i], "properties"), key) !=
		    NULL)
			return 1;
	return 0;
}

static int
is_required(const struct parts *parts, struct str key)
{
	const struct jval *list, *e;
	size_t i, k;

	for (i = 0; i < parts->n; i++) {
		list = jdoc_gets(parts->at[i], "required");
		if (list == NULL || jval_kind(list) != JDOC_ARRAY)
			continue;
		for (e = list + 1, k = 0; k < list->len; k++, e = jval_next(e))
			if (jval_kind(e) == JDOC_STRING &&
			    str_eq(jval_str(e), key))
				return 1;
	}
	return 0;
}

/* Make the property ${key}, which every part may say something about. */
static void
make_property(struct maker *m, const struct parts *parts, struct str key,
    unsigned int depth)
{
	struct parts of = {{NULL}, 0};
	size_t i;

	for (i = 0; i < parts->n; i++)
		collect(m, &of,
		    jdoc_get(jdoc_gets(parts->at[i], "properties"), key));
	make_parts(m, &of, key, depth);
}

/* Make the properties that the schema names. */
static void
make_named(struct maker *m, const struct parts *parts, unsigned int depth)
{
	const struct jval *all, *e;
	struct str key;
	size_t i, k;

	for (i = 0; i < parts->n; i++) {
		all = jdoc_gets(parts->at[i], "properties");
		if (all == NULL || jval_kind(all) != JDOC_OBJECT)
			continue;
		for (e = all + 1, k = 0; k < all->len;
		     k++, e = jval_next(e + 1)) {
			key = jval_str(e);
			if (made_before(parts, i, key) ||
			    jval_kind(e + 1) == JDOC_FALSE ||
			    (depth >= FULL_DEPTH && !is_required(parts, key)))
				continue;
			jwrite_keyn(&m->w, key);
			if (depth == 0 && m->gen->action != NULL &&
			    str_eq(key, STR("action")))
				jwrite_text(&m->w, m->gen->action);
			else
				make_property(m, parts, key, depth + 1);
		}
	}
}

static void
make_object(struct maker *m, const struct parts *parts, unsigned int depth)
{
	const struct jval *list, *e;
	size_t i, k;

	jwrite_object(&m->w);
	make_named(m, parts, depth);
	/* What is required without being described. */
	for (i = 0; i < parts->n; i++) {
		list = jdoc_gets(parts->at[i], "required");
		if (list == NULL || jval_kind(list) != JDOC_ARRAY)
			continue;
		for (e = list + 1, k = 0; k < list->len;
		     k++, e = jval_next(e)) {
			if (jval_kind(e) != JDOC_STRING ||
			    made_before(parts, parts->n, jval_str(e)))
				continue;
			jwrite_keyn(&m->w, jval_str(e));
			if (depth == 0 && m->gen->action != NULL &&
			    str_eq(jval_str(e), STR("action")))
				jwrite_text(&m->w, m->gen->action);
			else
				make(m, other_properties(parts), jval_str(e),
				    depth + 1);
		}
	}
	jwrite_object_end(&m->w);
}

static void
make_array(struct maker *m, const struct parts *parts, unsigned int depth)
{
	const struct jval *items = keyword(parts, "items"), *item;
	const struct jval *contains = keyword(parts, "contains");
	const struct jval *rest = keyword(parts, "additionalItems");
	double least = number(parts, "minItems", depth < FULL_DEPTH ? 1 : 0);
	double most = number(parts, "maxItems", MAX_ITEMS);
	size_t n, i;

	if (items != NULL && jval_kind(items) == JDOC_ARRAY &&
	    least < (double)items->len)
		least = (double)items->len;
	if (contains != NULL && least < 1)
		least = 1;
	if (least > most)
		least = most;
	n = least > MAX_ITEMS ? MAX_ITEMS : (size_t)least;
	jwrite_array(&m->w);
	for (i = 0; i < n; i++) {
		item = items;
		if (items != NULL && jval_kind(items) == JDOC_ARRAY)
			item = i < items->len ? jdoc_at(items, i) : rest;
		else if (items == NULL && contains != NULL)
			item = contains;
		make(m, item, (struct str){"", 0}, depth + 1);
	}
	jwrite_array_end(&m->w);
}

/* A value that the schema gives itself, or NULL. */
static const struct jval *
given(const struct samplegen *gen, const struct parts *parts)
{
	static const char *const lists[] = {"enum", "examples"};
	const struct jval *v;
	size_t i;

	v = keyword(parts, "const");
	for (i = 0; v == NULL && i < NELEMS(lists); i++) {
		v = keyword(parts, lists[i]);
		if (v != NULL)
			v = jval_kind(v) == JDOC_ARRAY && v->len > 0
				? jdoc_at(v, gen->turn % v->len)
				: NULL;
	}
	if (v == NULL)
		v = keyword(parts, "example");
	return v != NULL ? v : keyword(parts, "default");
}

/* Write a value for all of ${parts}, which is the property ${name}. */
static void
make_parts(struct maker *m, const struct parts *parts, struct str name,
    unsigned int depth)
{
	const struct jval *v = given(m->gen, parts);
	struct str type = pick_type(parts, depth);

	if (v != NULL)
		jwrite_jval(&m->w, v);
	else if (depth >= MAX_DEPTH || str_eq(type, STR("null")))
		jwrite_null(&m->w);
	else if (str_eq(type, STR("object")))
		make_object(m, parts, depth);
	else if (str_eq(type, STR("array")))
		make_array(m, parts, depth);
	else if (str_eq(type, STR("boolean")))
		jwrite_bool(&m->w, 0);
	else if (str_eq(type, STR("integer")) || str_eq(type, STR("number")))
		make_number(m, parts, name, str_eq(type, STR("integer")));
	else
		make_string(m, parts, name);
}

/* Write a value for ${schema}, which is the property ${name}. */
static void
make(struct maker *m, const struct jval *schema, struct str name,
    unsigned int depth)
{
	struct parts parts = {{NULL}, 0};

	collect(m, &parts, schema);
	make_parts(m, &parts, name, depth);
}

void
samplegen_put(
    const struct samplegen *gen, const struct jval *schema, struct buf *out)
{
	struct maker m;

	m.gen = gen;
	m.w = jwrite_begin(out, 0);
	make(&m, schema, (struct str){"", 0}, 0);
}
