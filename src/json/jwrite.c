#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

#include "json/jdoc.h"
#include "json/jscan.h"

#include "json/jwrite.h"

/* "-1.2345678901234567e-308" and its NUL, with room. */
#define REAL_SIZE 40

/* UINT64_MAX has so many. */
#define MAX_DIGITS 20

/* What put_short_real() takes: 15 digits, and no exponent in "%g". */
#define SHORT_MIN 1e-4
#define SHORT_MAX 1e15
#define SHORT_BEHIND 9

struct jwrite
jwrite_begin(struct buf *out, unsigned int indent)
{
	return (struct jwrite){.out = out, .indent = indent};
}

/* buf_putc() without the call, as there are so many of them. */
static inline void
put_char(struct buf *out, char c)
{
	if (UNLIKELY(out->cap - out->len < 2))
		(void)buf_reserve(out, 1);
	out->data[out->len++] = c;
	out->data[out->len] = '\0';
}

static void
new_line(struct jwrite *w)
{
	const size_t n = (size_t)w->indent * w->depth;

	put_char(w->out, '\n');
	(void)memset(buf_reserve(w->out, n), ' ', n);
	w->out->len += n;
	w->out->data[w->out->len] = '\0';
}

/* What stands between the last thing and the next. */
static void
before_value(struct jwrite *w)
{
	assert(w->depth > 0 || !w->comma);
	if (!w->after_key) {
		if (w->comma)
			put_char(w->out, ',');
		if (w->indent > 0 && w->depth > 0)
			new_line(w);
	}
	w->after_key = 0;
	w->comma = 1;
}

static void
open_container(struct jwrite *w, char c)
{
	before_value(w);
	put_char(w->out, c);
	w->depth++;
	w->comma = 0;
}

static void
close_container(struct jwrite *w, char c)
{
	assert(w->depth > 0 && !w->after_key);
	w->depth--;
	if (w->indent > 0 && w->comma)
		new_line(w);
	put_char(w->out, c);
	w->comma = 1;
}

void
jwrite_object(struct jwrite *w)
{
	open_container(w, '{');
}

void
jwrite_object_end(struct jwrite *w)
{
	close_container(w, '}');
}

void
jwrite_array(struct jwrite *w)
{
	open_container(w, '[');
}

void
jwrite_array_end(struct jwrite *w)
{
	close_container(w, ']');
}

/* A byte that cannot stand for itself in a string. */
static void
put_escape(struct buf *out, char c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *hit = c == '\0' ? NULL : strchr(from, c);

	if (hit == NULL) {
		buf_printf(out, "\\u%04x", (unsigned int)(unsigned char)c);
		return;
	}
	put_char(out, '\\');
	put_char(out, to[hit - from]);
}

/* The rest of a string, from its first special byte ${p}. */
static void
put_special(struct buf *out, const char *p, const char *end)
{
	const char *run = p;
	size_t n;

	for (; p != end; p = jscan_plain(p, end)) {
		n = (unsigned char)*p < 0x80 ? 0 : jscan_utf8(p, end);
		if (n > 0) {
			p += n;
			continue;
		}
		buf_put(out, run, (size_t)(p - run));
		if ((unsigned char)*p >= 0x80)
			buf_puts(out, "\xEF\xBF\xBD");
		else
			put_escape(out, *p);
		run = ++p;
	}
	buf_put(out, run, (size_t)(p - run));
}

static void
put_string(struct buf *out, struct str s)
{
	const char *end = s.data + s.len, *p;
	char *to;

	/* Most strings are plain text and fit as they are. */
	to = buf_reserve(out, s.len + 2 + JSCAN_STEP);
	*to++ = '"';
	p = jscan_copy(s.data, end, &to);
	out->len = (size_t)(to - out->data);
	if (p != end)
		put_special(out, p, end);
	put_char(out, '"');
}

void
jwrite_keyn(struct jwrite *w, struct str key)
{
	assert(w->depth > 0 && !w->after_key);
	before_value(w);
	put_string(w->out, key.data == NULL ? STR("") : key);
	buf_put(w->out, ": ", w->indent > 0 ? 2 : 1);
	w->after_key = 1;
}

void
jwrite_key(struct jwrite *w, const char *key)
{
	jwrite_keyn(w, str_of(key));
}

void
jwrite_str(struct jwrite *w, struct str s)
{
	if (s.data == NULL) {
		jwrite_null(w);
		return;
	}
	before_value(w);
	put_string(w->out, s);
}

void
jwrite_text(struct jwrite *w, const char *s)
{
	jwrite_str(w, str_of(s));
}

static void
put_digits(struct buf *out, uint64_t u)
{
	char text[MAX_DIGITS], *p = text + sizeof(text);

	do {
		*--p = (char)('0' + u % 10);
		u /= 10;
	} while (u > 0);
	buf_put(out, p, (size_t)(text + sizeof(text) - p));
}

void
jwrite_int(struct jwrite *w, int64_t i)
{
	const uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;

	before_value(w);
	if (i < 0)
		put_char(w->out, '-');
	put_digits(w->out, u);
}

void
jwrite_uint(struct jwrite *w, uint64_t u)
{
	before_value(w);
	put_digits(w->out, u);
}

/*
 * A number of at most 15 digits, some of them behind the point: most that
 * people and clocks make are.  It is one if it is the quotient of a whole
 * number and a power of ten, for that division rounds as reading its text does,
 * and no two texts of 15 digits read as the same double.
 *
 * Returns:   whether it was written.
 */
static int
put_short_real(struct buf *out, double d)
{
	double a = fabs(d), power = 1, digits;
	uint64_t whole, behind;
	int n;

	if ((a < SHORT_MIN && a > 0) || a >= SHORT_MAX)
		return 0;
	for (n = 0; n <= SHORT_BEHIND; n++, power *= 10) {
		digits = rint(a * power);
		if (digits >= SHORT_MAX)
			return 0;
		if (digits / power >= a && digits / power <= a)
			break;
	}
	if (n > SHORT_BEHIND)
		return 0;

	if (signbit(d))
		put_char(out, '-');
	whole = (uint64_t)digits / (uint64_t)power;
	behind = (uint64_t)digits % (uint64_t)power;
	put_digits(out, whole);
	put_char(out, '.');
	/* The zeros that the digits behind the point begin with. */
	for (power /= 10; power > 1 && (double)behind < power; power /= 10)
		put_char(out, '0');
	put_digits(out, behind);
	return 1;
}

/* Any number, by the library. */
static void
put_long_real(struct buf *out, double d)
{
	char text[REAL_SIZE], *p;
	int digits, n = 0, whole = 1;
	double back;

	/* 15 digits are never too many, but for what is close to zero. */
	for (digits = fabs(d) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
		n = snprintf(text, sizeof(text), "%.*g", digits, d);
		back = strtod(text, NULL);
		if (back >= d && back <= d)
			break;
	}
	/* The locale's decimal point becomes a point. */
	for (p = text; p < text + n; p++) {
		if (*p == 'e') {
			whole = 0;
		} else if (strchr("+-0123456789", *p) == NULL) {
			*p = '.';
			whole = 0;
		}
	}
	buf_put(out, text, (size_t)n);
	if (whole)
		buf_puts(out, ".0");
}

void
jwrite_real(struct jwrite *w, double d)
{
	if (!isfinite(d)) {
		jwrite_null(w);
		return;
	}
	before_value(w);
	if (!put_short_real(w->out, d))
		put_long_real(w->out, d);
}

void
jwrite_bool(struct jwrite *w, int b)
{
	before_value(w);
	buf_puts(w->out, b ? "true" : "false");
}

void
jwrite_null(struct jwrite *w)
{
	before_value(w);
	buf_puts(w->out, "null");
}

void
jwrite_time(struct jwrite *w, uint64_t unix_ms)
{
	char text[CLOCK_RFC3339_SIZE];

	if (unix_ms == 0)
		jwrite_null(w);
	else
		jwrite_text(w, clock_rfc3339(unix_ms, text));
}

void
jwrite_raw(struct jwrite *w, struct str json)
{
	before_value(w);
	buf_put(w->out, json.data, json.len);
}

void
jwrite_jval(struct jwrite *w, const struct jval *v)
{
	const struct jval *e;
	uint32_t i;

	switch (jval_kind(v)) {
	case JDOC_NULL:
		jwrite_null(w);
		break;
	case JDOC_FALSE:
	case JDOC_TRUE:
		jwrite_bool(w, jval_kind(v) == JDOC_TRUE);
		break;
	case JDOC_INT:
		jwrite_int(w, v->v.i);
		break;
	case JDOC_UINT:
		jwrite_uint(w, v->v.u);
		break;
	case JDOC_REAL:
		jwrite_real(w, v->v.d);
		break;
	case JDOC_STRING:
		jwrite_str(w, jval_str(v));
		break;
	case JDOC_ARRAY:
		jwrite_array(w);
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e))
			jwrite_jval(w, e);
		jwrite_array_end(w);
		break;
	case JDOC_OBJECT:
		jwrite_object(w);
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1)) {
			jwrite_keyn(w, jval_str(e));
			jwrite_jval(w, e + 1);
		}
		jwrite_object_end(w);
		break;
	}
}

void
jwrite_member_text(struct jwrite *w, const char *key, const char *s)
{
	jwrite_key(w, key);
	jwrite_text(w, s);
}

void
jwrite_member_int(struct jwrite *w, const char *key, int64_t i)
{
	jwrite_key(w, key);
	jwrite_int(w, i);
}
