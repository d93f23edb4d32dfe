#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "catalog/asyncapi.h"
#include "catalog/samplegen.h"
#include "schema/schema.h"

#include "catalog/sample.h"

#define UUID_LEN 36
#define HEX_LEN 32

/* Numbers with a fraction between these are seconds since 1970: 2014 to 2096.
 */
#define EPOCH_LOW 1.4e9
#define EPOCH_HIGH 4e9

/* Branches of choices that are tried for a schema without an example. */
#define TURNS 4

/* What an id of an example has become. */
struct renamed {
	char *from;
	char *to;
};

/* One example on its way to a sample. */
struct refresh {
	struct jwrite w;
	const struct jval *fresh_ids; /* The document's list, or NULL. */
	const char *action;           /* Put in the place of the example's. */
	int64_t shift_ms;             /* Added to every time. */
	struct renamed *ids;
	size_t n;
	size_t cap;
};

/* ---- times -------------------------------------------------------------- */

/* Whether ${s} is a date-time and nothing else. */
static int
read_time(struct str s, uint64_t *ret_ms)
{
	return s.len >= 20 && s.data[4] == '-' && s.data[10] == 'T' &&
	       clock_parse_rfc3339(s.data, s.len, ret_ms) == 0;
}

static int
is_epoch(const struct jval *v)
{
	return jval_kind(v) == JDOC_REAL && v->v.d > EPOCH_LOW &&
	       v->v.d < EPOCH_HIGH;
}

/* The latest time in ${v}, in milliseconds; 0 if there is none. */
static uint64_t
latest_time(const struct jval *v)
{
	const struct jval *end = jval_next(v), *e;
	uint64_t latest = 0, ms;

	/* Every value below ${v} lies before ${end} on the tape. */
	for (e = v; e < end; e++) {
		ms = 0;
		if (is_epoch(e))
			ms = (uint64_t)(e->v.d * 1000.0);
		else if (jval_kind(e) == JDOC_STRING &&
			 !read_time(jval_str(e), &ms))
			ms = 0;
		if (ms > latest)
			latest = ms;
	}
	return latest;
}

/* Write the time ${s} moved, in the form that it has: its fraction digits, its
 * Z or +00:00. */
static void
write_time(struct refresh *r, struct str s, uint64_t ms)
{
	char moved[CLOCK_RFC3339_SIZE];
	struct buf out = BUF_INIT;
	size_t zone, digits;

	(void)clock_rfc3339((uint64_t)((int64_t)ms + r->shift_ms), moved);
	for (zone = 19;
	     zone < s.len && (s.data[zone] == '.' ||
				 (s.data[zone] >= '0' && s.data[zone] <= '9'));
	     zone++)
		continue;
	digits = zone > 20 ? zone - 20 : 0;
	buf_put(&out, moved, 19);
	if (digits > 0) {
		buf_putc(&out, '.');
		buf_put(&out, moved + 20, digits < 3 ? digits : 3);
		/* Below a millisecond the example's own digits are as good. */
		if (digits > 3)
			buf_put(&out, s.data + 23, digits - 3);
	}
	/* The moved time is UTC, whatever offset the example had. */
	buf_puts(
	    &out, s.data[zone] == 'Z' || s.data[zone] == 'z' ? "Z" : "+00:00");
	jwrite_str(&r->w, (struct str){out.data, out.len});
	buf_free(&out);
}

/* ---- ids ---------------------------------------------------------------- */

static int
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
is_word(char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static int
is_uuid(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < UUID_LEN && i < len; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-'
							    : !is_hex(s[i]))
			return 0;
	return i == UUID_LEN && (len == UUID_LEN || !is_word(s[UUID_LEN]));
}

/* Whether the document lists the number with these digits. */
static int
is_listed(const struct refresh *r, struct str digits)
{
	const struct jval *e;
	char text[32];
	size_t i;

	if (r->fresh_ids == NULL || jval_kind(r->fresh_ids) != JDOC_ARRAY)
		return 0;
	for (e = r->fresh_ids + 1, i = 0; i < r->fresh_ids->len;
	     i++, e = jval_next(e)) {
		if (jval_kind(e) != JDOC_INT)
			continue;
		(void)snprintf(text, sizeof(text), "%lld", (long long)e->v.i);
		if (str_eq(str_of(text), digits))
			return 1;
	}
	return 0;
}

/* How long the id is that begins at ${s}; 0 if none does. */
static size_t
id_len(const struct refresh *r, const char *s, size_t len)
{
	size_t word = 0, i;
	int hex = 1, decimal = 1;

	if (is_uuid(s, len))
		return UUID_LEN;
	while (word < len && is_word(s[word]))
		word++;
	for (i = 0; i < word; i++) {
		hex = hex && is_hex(s[i]);
		decimal = decimal && is_digit(s[i]);
	}
	if (word == HEX_LEN && hex)
		return word;
	return word > 0 && decimal && is_listed(r, (struct str){s, word}) ? word
									  : 0;
}

/* What ${id} is in this sample: always the same for the same one. */
static const char *
renamed_id(struct refresh *r, struct str id)
{
	struct buf to = BUF_INIT;
	unsigned char bytes[HEX_LEN / 2];
	size_t i;

	for (i = 0; i < r->n; i++)
		if (str_eq(str_of(r->ids[i].from), id))
			return r->ids[i].to;
	if (id.len == UUID_LEN)
		samplegen_put_uuid(&to);
	else if (id.len == HEX_LEN) {
		samplegen_random(bytes, sizeof(bytes));
		for (i = 0; i < sizeof(bytes); i++)
			buf_printf(&to, "%02x", bytes[i]);
	} else
		samplegen_put_digits(&to, id.len);
	r->ids = mem_grow(r->ids, &r->cap, r->n + 1, sizeof(*r->ids));
	r->ids[r->n].from = mem_strndup(id.data, id.len);
	r->ids[r->n].to = buf_take(&to);
	return r->ids[r->n++].to;
}

/* Write text with its ids renamed. */
static void
write_string(struct refresh *r, struct str s)
{
	struct buf out = BUF_INIT;
	uint64_t ms;
	size_t i, n;

	if (read_time(s, &ms)) {
		write_time(r, s, ms);
		return;
	}
	buf_puts(&out, "");
	for (i = 0; i < s.len;) {
		n = i > 0 && is_word(s.data[i - 1])
			? 0
			: id_len(r, s.data + i, s.len - i);
		if (n > 0)
			buf_puts(
			    &out, renamed_id(r, (struct str){s.data + i, n}));
		else
			buf_putc(&out, s.data[i]);
		i += n > 0 ? n : 1;
	}
	jwrite_str(&r->w, (struct str){buf_text(&out), out.len});
	buf_free(&out);
}

/* ---- the whole ----------------------------------------------------------- */

static void write_value(struct refresh *r, const struct jval *v);

static void
write_number(struct refresh *r, const struct jval *v)
{
	char text[32];
	struct str digits;

	if (is_epoch(v)) {
		/* Whole milliseconds, as Sentry has them. */
		jwrite_real(&r->w,
		    floor(v->v.d * 1000 + (double)r->shift_ms + 0.5) / 1000);
		return;
	}
	if (jval_kind(v) != JDOC_INT) {
		jwrite_jval(&r->w, v);
		return;
	}
	(void)snprintf(text, sizeof(text), "%lld", (long long)v->v.i);
	digits = str_of(text);
	if (is_listed(r, digits))
		jwrite_raw(&r->w, str_of(renamed_id(r, digits)));
	else
		jwrite_int(&r->w, v->v.i);
}

static void
write_object(struct refresh *r, const struct jval *v, int outermost)
{
	const struct jval *e;
	size_t i;

	jwrite_object(&r->w);
	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1)) {
		jwrite_keyn(&r->w, jval_str(e));
		if (outermost && r->action != NULL &&
		    str_eq(jval_str(e), STR("action")))
			jwrite_text(&r->w, r->action);
		else
			write_value(r, e + 1);
	}
	jwrite_object_end(&r->w);
}

static void
write_value(struct refresh *r, const struct jval *v)
{
	const struct jval *e;
	size_t i;

	switch (jval_kind(v)) {
	case JDOC_OBJECT:
		write_object(r, v, 0);
		break;
	case JDOC_ARRAY:
		jwrite_array(&r->w);
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e))
			write_value(r, e);
		jwrite_array_end(&r->w);
		break;
	case JDOC_STRING:
		write_string(r, jval_str(v));
		break;
	case JDOC_INT:
	case JDOC_UINT:
	case JDOC_REAL:
		write_number(r, v);
		break;
	case JDOC_NULL:
	case JDOC_FALSE:
	case JDOC_TRUE:
		jwrite_jval(&r->w, v);
		break;
	}
}

/* Append the example ${v} with fresh ids and times. */
static void
put_example(const struct jval *root, const struct jval *v, const char *action,
    struct buf *out)
{
	struct refresh r;
	uint64_t latest = latest_time(v);
	size_t i;

	memset(&r, 0, sizeof(r));
	r.w = jwrite_begin(out, 0);
	r.fresh_ids = jdoc_gets(root, "x-fresh-ids");
	r.action = action;
	if (latest != 0)
		r.shift_ms = (int64_t)(clock_unix_ms() - latest);
	if (jval_kind(v) == JDOC_OBJECT)
		write_object(&r, v, 1);
	else
		write_value(&r, v);
	for (i = 0; i < r.n; i++) {
		free(r.ids[i].from);
		free(r.ids[i].to);
	}
	free(r.ids);
}

/* The payload of the message's first example of ${action}, or NULL. */
static const struct jval *
find_example(const struct asyncapi_message *message, const char *action)
{
	const struct jval *e, *payload;
	size_t i;

	if (message->examples == NULL)
		return NULL;
	for (e = message->examples + 1, i = 0; i < message->examples->len;
	     i++, e = jval_next(e)) {
		payload = jdoc_gets(e, "payload");
		if (payload != NULL &&
		    (action == NULL || str_eq(jdoc_get_str(payload, "action"),
					   str_of(action))))
			return payload;
	}
	return NULL;
}

int
sample_has_example(const struct asyncapi_message *message, const char *action)
{
	return find_example(message, action) != NULL;
}

/* Append JSON with every character beyond ASCII as \uXXXX. */
static void
put_ascii(struct buf *out, const struct buf *json)
{
	const unsigned char *s = (const unsigned char *)buf_text(json);
	unsigned int c;
	size_t i, k, n;

	for (i = 0; i < json->len; i += n) {
		n = 1;
		if (s[i] < 0x80) {
			buf_putc(out, (char)s[i]);
			continue;
		}
		/* The writer has made sure that it is UTF-8. */
		n = s[i] >= 0xF0 ? 4 : s[i] >= 0xE0 ? 3 : 2;
		c = s[i] & (0x7FU >> n);
		for (k = 1; k < n; k++)
			c = c << 6 | (s[i + k] & 0x3FU);
		if (c >= 0x10000)
			buf_printf(out, "\\u%04x\\u%04x",
			    0xD800 + ((c - 0x10000) >> 10),
			    0xDC00 + ((c - 0x10000) & 0x3FF));
		else
			buf_printf(out, "\\u%04x", c);
	}
}

/* Whether the message takes the body ${json}. */
static int
accepts(const struct asyncapi_message *message, const struct buf *json,
    struct err *err)
{
	struct schema_violation violation;
	struct jdoc doc;
	int ok;

	memset(&doc, 0, sizeof(doc));
	if (jdoc_parse(&doc, buf_text(json), json->len, NULL, err) == -1)
		return 0;
	ok = message->schema == NULL ||
	     schema_check(message->schema, jdoc_root(&doc), &violation) == 0;
	if (!ok)
		(void)err_set(err, ERR_INVALID,
		    "no sample could be made for channel %s: %s: %s; an "
		    "example in the document would help",
		    message->channel,
		    violation.pointer[0] == '\0' ? "/" : violation.pointer,
		    violation.message);
	jdoc_free(&doc);
	return ok;
}

int
sample_make(const struct jval *root, const struct asyncapi_message *message,
    const char *action, struct buf *out, struct err *err)
{
	struct samplegen gen = {root, action, 0, clock_unix_ms()};
	const struct jval *example;
	struct buf json = BUF_INIT;
	int ok = 0;

	example = find_example(message, action);
	if (example == NULL)
		example = find_example(message, NULL);
	if (example != NULL) {
		put_example(root, example, action, &json);
		ok = accepts(message, &json, NULL);
	}
	for (; !ok && gen.turn < TURNS; gen.turn++) {
		buf_reset(&json);
		samplegen_put(&gen, message->payload, &json);
		ok = accepts(message, &json, err);
	}
	if (ok)
		put_ascii(out, &json);
	buf_free(&json);
	return ok ? 0 : -1;
}
