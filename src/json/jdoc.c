#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#include "json/jscan.h"

#include "json/jdoc.h"

/* No container is open. */
#define NONE UINT32_MAX

/* Text for each value of a tape, at first guess; it grows where that is less.
 */
#define BYTES_A_VALUE 10

/* 2^63 and 2^64; what is below fits an int64_t, or a uint64_t. */
#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0

/* One run of the parser.  While a container is open its v.size is the tape
 * index of the one around it, so that no stack is needed. */
struct parser {
	struct jdoc *doc;
	const char *text;
	const char *end;
	char *
	    unescaped; /* Next free byte for strings with an escape, or NULL. */
	const char *bad; /* The first byte out of place. */
	struct err *err;
};

/* Say what is wrong at ${at}; NULL, so that a scanner can return it. */
static const char *
fail(struct parser *ps, const char *at, enum err_code code, const char *what)
{
	ps->bad = at;
	(void)err_set(
	    ps->err, code, "%s at byte %zu", what, (size_t)(at - ps->text));
	return NULL;
}

/* The same where something else should be. */
static const char *
fail_expected(struct parser *ps, const char *at, const char *expected)
{
	const size_t offset = (size_t)(at - ps->text);
	unsigned int c;

	ps->bad = at;
	if (at == ps->end) {
		(void)err_set(ps->err, ERR_INVALID,
		    "the text ends at byte %zu, where %s is expected", offset,
		    expected);
		return NULL;
	}
	c = (unsigned char)*at;
	if (c > ' ' && c < 0x7F)
		(void)err_set(ps->err, ERR_INVALID,
		    "unexpected %c at byte %zu, where %s is expected", (int)c,
		    offset, expected);
	else
		(void)err_set(ps->err, ERR_INVALID,
		    "unexpected byte 0x%02X at byte %zu, where %s is expected",
		    c, offset, expected);
	return NULL;
}

/* The value of four hexadecimal digits, or -1 and the one that is none. */
static int
scan_hex4(const char *p, const char *end, const char **ret_bad)
{
	int i, v = 0;
	char c;

	for (i = 0; i < 4; i++, p++) {
		c = p < end ? *p : '\0';
		if (c >= '0' && c <= '9')
			v = v * 16 + (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v * 16 + ((c | 0x20) - 'a' + 10);
		else {
			*ret_bad = p;
			return -1;
		}
	}
	return v;
}

static char *
put_utf8(char *out, unsigned int c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xC0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3F));
	} else if (c < 0x10000) {
		*out++ = (char)(0xE0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3F));
		*out++ = (char)(0x80 | (c & 0x3F));
	} else {
		*out++ = (char)(0xF0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3F));
		*out++ = (char)(0x80 | (c >> 6 & 0x3F));
		*out++ = (char)(0x80 | (c & 0x3F));
	}
	return out;
}

/* A "\uXXXX", or two that are one character; ${p} is at the backslash. */
static const char *
scan_unicode(struct parser *ps, const char *p, char **out)
{
	const char *bad;
	int hi, lo;

	if ((hi = scan_hex4(p + 2, ps->end, &bad)) == -1)
		return fail_expected(ps, bad, "a hexadecimal digit");
	if (hi >= 0xDC00 && hi <= 0xDFFF)
		return fail(ps, p, ERR_INVALID, "a lone surrogate");
	if (hi < 0xD800 || hi > 0xDBFF) {
		*out = put_utf8(*out, (unsigned int)hi);
		return p + 6;
	}

	if (ps->end - p < 8 || p[6] != '\\' || p[7] != 'u')
		return fail(ps, p, ERR_INVALID, "a lone surrogate");
	if ((lo = scan_hex4(p + 8, ps->end, &bad)) == -1)
		return fail_expected(ps, bad, "a hexadecimal digit");
	if (lo < 0xDC00 || lo > 0xDFFF)
		return fail(ps, p, ERR_INVALID, "a lone surrogate");
	*out = put_utf8(*out, 0x10000U + ((unsigned int)(hi - 0xD800) << 10) +
				  (unsigned int)(lo - 0xDC00));
	return p + 12;
}

/* What a backslash at ${p} begins. */
static const char *
scan_escape(struct parser *ps, const char *p, char **out)
{
	static const char plain[256] = {['"'] = '"',
	    ['\\'] = '\\',
	    ['/'] = '/',
	    ['b'] = '\b',
	    ['f'] = '\f',
	    ['n'] = '\n',
	    ['r'] = '\r',
	    ['t'] = '\t'};
	char c;

	if (p + 1 == ps->end)
		return fail_expected(ps, p + 1, "an escaped character");
	if (p[1] == 'u')
		return scan_unicode(ps, p, out);
	if ((c = plain[(unsigned char)p[1]]) == '\0')
		return fail_expected(ps, p + 1, "an escaped character");
	*(*out)++ = c;
	return p + 2;
}

/* Over characters beyond ASCII, at least one. */
static const char *
scan_beyond_ascii(struct parser *ps, const char *p)
{
	size_t n;

	do {
		if ((n = jscan_utf8(p, ps->end)) == 0)
			return fail(ps, p, ERR_INVALID, "not UTF-8");
		p += n;
	} while (p < ps->end && (unsigned char)*p >= 0x80);
	return p;
}

/* The rest of a string that has an escape: ${p} is at the first one. */
static const char *
scan_escaped(
    struct parser *ps, const char *begin, const char *p, struct jval *v)
{
	const char *next;
	char *out, *text;

	/* What is unescaped is never longer than it was: one piece of memory
	 * is enough for all strings that are still to come. */
	if (ps->unescaped == NULL)
		ps->unescaped = arena_alloc(
		    &ps->doc->strings, (size_t)(ps->end - begin) + JSCAN_STEP);
	out = text = ps->unescaped;
	(void)memcpy(out, begin, (size_t)(p - begin));
	out += p - begin;

	for (;; p = jscan_copy(p, ps->end, &out)) {
		if (p == ps->end)
			return fail_expected(ps, p, "the end of a string");
		if (*p == '"')
			break;
		if (*p == '\\') {
			if ((p = scan_escape(ps, p, &out)) == NULL)
				return NULL;
		} else if ((unsigned char)*p >= 0x80) {
			if ((next = scan_beyond_ascii(ps, p)) == NULL)
				return NULL;
			(void)memcpy(out, p, (size_t)(next - p));
			out += next - p;
			p = next;
		} else {
			return fail(ps, p, ERR_INVALID,
			    "a control character that is not escaped");
		}
	}
	v->len = (uint32_t)(out - text);
	v->v.s = text;
	ps->unescaped = out;
	return p + 1;
}

/* A string; ${p} is behind the quote that opens it. */
static inline const char *
scan_string(struct parser *ps, const char *p, struct jval *v)
{
	const char *begin = p;

	v->kind = JDOC_STRING;
	for (;;) {
		p = jscan_plain(p, ps->end);
		if (p == ps->end)
			return fail_expected(ps, p, "the end of a string");
		if (LIKELY(*p == '"'))
			break;
		if (*p == '\\')
			return scan_escaped(ps, begin, p, v);
		if ((unsigned char)*p < 0x20)
			return fail(ps, p, ERR_INVALID,
			    "a control character that is not escaped");
		if ((p = scan_beyond_ascii(ps, p)) == NULL)
			return NULL;
	}
	v->len = (uint32_t)(p - begin);
	v->v.s = begin;
	return p + 1;
}

/* One of the three words. */
static const char *
scan_word(struct parser *ps, const char *p, struct jval *v)
{
	static const struct {
		const char *text;
		size_t len;
		enum jdoc_kind kind;
	} words[] = {
	    {"null", 4, JDOC_NULL},
	    {"true", 4, JDOC_TRUE},
	    {"false", 5, JDOC_FALSE},
	};
	const size_t w = *p == 'n' ? 0 : *p == 't' ? 1 : 2;
	size_t i;

	for (i = 0; i < words[w].len; i++) {
		if (p + i == ps->end || p[i] != words[w].text[i])
			return fail_expected(ps, p + i, "null, true or false");
	}
	v->kind = words[w].kind;
	v->len = 0;
	v->v.u = 0;
	return p + words[w].len;
}

static const char *
scan_number(struct parser *ps, const char *p, struct jval *v)
{
	switch (jscan_number(&p, ps->end, v)) {
	case JSCAN_OK:
		return p;
	case JSCAN_RANGE:
		return fail(ps, p, ERR_INVALID, "a number out of range");
	case JSCAN_BAD:
	default:
		return fail_expected(ps, p, "a digit");
	}
}

/* A value that is no container. */
static inline const char *
scan_scalar(struct parser *ps, const char *p, struct jval *v)
{
	switch (*p) {
	case '"':
		return scan_string(ps, p + 1, v);
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		return scan_number(ps, p, v);
	case 'n':
	case 't':
	case 'f':
		return scan_word(ps, p, v);
	default:
		if (ps->end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0)
			return fail(ps, p, ERR_INVALID, "a byte order mark");
		return fail_expected(ps, p, "a value");
	}
}

/* Room for one more value on the tape, or NULL. */
static inline struct jval *
push(struct jdoc *doc)
{
	if (UNLIKELY(doc->tape_len == doc->tape_cap)) {
		if (doc->tape_max != 0 && doc->tape_len >= doc->tape_max)
			return NULL;
		doc->tape = mem_grow(doc->tape, &doc->tape_cap,
		    doc->tape_len + 1, sizeof(*doc->tape));
	}
	return &doc->tape[doc->tape_len++];
}

static const char *
fail_full(struct parser *ps, const char *p)
{
	ps->doc->tape_full = 1;
	return fail(ps, p, ERR_TOO_LARGE, "more values than there is room for");
}

/* Everything up to the end of the outermost value; returns what is behind. */
static const char *
parse_value(struct parser *ps, const char *p)
{
	struct jdoc *doc = ps->doc;
	const char *const end = ps->end;
	unsigned int depth = 0;
	uint32_t open = NONE;
	struct jval *v;

value:
	p = jscan_space(p, end);
	if (p == end)
		return fail_expected(ps, p, "a value");
	if (*p != '{' && *p != '[') {
		if (UNLIKELY((v = push(doc)) == NULL))
			return fail_full(ps, p);
		if ((p = scan_scalar(ps, p, v)) == NULL)
			return NULL;
		goto behind;
	}

	/* A container opens; an empty one is closed at once. */
	if (++depth > JDOC_MAX_DEPTH)
		return fail(ps, p, ERR_TOO_LARGE, "nested deeper than 512");
	if (UNLIKELY((v = push(doc)) == NULL))
		return fail_full(ps, p);
	v->kind = *p == '{' ? JDOC_OBJECT : JDOC_ARRAY;
	v->len = 0;
	v->v.u = 0;
	v->v.size = open;
	open = (uint32_t)(doc->tape_len - 1);
	p = jscan_space(p + 1, end);
	if (v->kind == JDOC_OBJECT) {
		if (p == end || *p != '}')
			goto key;
	} else if (p == end || *p != ']') {
		goto value;
	}

close:
	p++;
	v = &doc->tape[open];
	open = v->v.size;
	v->v.size = (uint32_t)(doc->tape_len - (size_t)(v - doc->tape));
	depth--;

behind:
	if (depth == 0)
		return p;
	p = jscan_space(p, end);
	v = &doc->tape[open];
	v->len++;
	if (v->kind == JDOC_ARRAY) {
		if (LIKELY(p < end && *p == ',')) {
			p++;
			goto value;
		}
		if (p < end && *p == ']')
			goto close;
		return fail_expected(ps, p, "',' or ']'");
	}
	if (UNLIKELY(p == end || *p != ',')) {
		if (p < end && *p == '}')
			goto close;
		return fail_expected(ps, p, "',' or '}'");
	}
	p = jscan_space(p + 1, end);

key:
	if (p == end || *p != '"')
		return fail_expected(ps, p, "a key in double quotes");
	if (UNLIKELY((v = push(doc)) == NULL))
		return fail_full(ps, p);
	if ((p = scan_string(ps, p + 1, v)) == NULL)
		return NULL;
	p = jscan_space(p, end);
	if (p == end || *p != ':')
		return fail_expected(ps, p, "':'");
	p++;
	goto value;
}

int
jdoc_parse(struct jdoc *doc, const char *text, size_t len, size_t *ret_offset,
    struct err *err)
{
	struct parser ps = {doc, text, NULL, NULL, NULL, err};
	const char *p;
	size_t room;

	/* No text at all may come without an address. */
	if (len == 0)
		ps.text = text = "";
	ps.end = text + len;
	doc->tape_len = 0;
	doc->tape_full = 0;
	arena_reset(&doc->strings);
	if (len > JDOC_MAX_TEXT) {
		(void)fail(&ps, text + JDOC_MAX_TEXT, ERR_TOO_LARGE,
		    "longer than 256 MiB");
		goto bad;
	}
	room = len / BYTES_A_VALUE + 16;
	if (doc->tape_max != 0 && room > doc->tape_max)
		room = doc->tape_max;
	doc->tape =
	    mem_grow(doc->tape, &doc->tape_cap, room, sizeof(*doc->tape));
	if ((p = parse_value(&ps, text)) == NULL)
		goto bad;
	p = jscan_space(p, ps.end);
	if (p != ps.end) {
		(void)fail_expected(&ps, p, "the end of the text");
		goto bad;
	}
	return 0;

bad:
	doc->tape_len = 0;
	if (ret_offset != NULL)
		*ret_offset = (size_t)(ps.bad - text);
	return -1;
}

void
jdoc_free(struct jdoc *doc)
{
	free(doc->tape);
	arena_free(&doc->strings);
	(void)memset(doc, 0, sizeof(*doc));
}

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
