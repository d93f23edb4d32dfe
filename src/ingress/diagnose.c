#include <string.h>

#include "base/buf.h"
#include "crypto/signature.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "ingress/ingress_internal.h"

/* Beyond this nobody looks into it. */
#define MAX_BODY (256U << 10)

/* How the usual libraries write JSON. */
struct style {
	int ascii;  /* What is not ASCII is escaped. */
	int spaced; /* ", " and ": " between the parts. */
};

static int
matches(const struct site *site, struct str hex, const char *data, size_t len)
{
	return signature_verify((const struct signature_key *const *)site->keys,
		   site->nkeys, hex, data, len) == SIGNATURE_GOOD;
}

static void
put_escape(struct buf *out, unsigned int unit)
{
	buf_printf(out, "\\u%04x", unit);
}

/* The code point at ${s}, which is well-formed; *${s} is moved behind it. */
static unsigned int
next_point(const char **s)
{
	const unsigned char *p = (const unsigned char *)*s;

	if (p[0] < 0xE0) {
		*s += 2;
		return (p[0] & 0x1FU) << 6 | (p[1] & 0x3FU);
	}
	if (p[0] < 0xF0) {
		*s += 3;
		return (p[0] & 0x0FU) << 12 | (p[1] & 0x3FU) << 6 |
		       (p[2] & 0x3FU);
	}
	*s += 4;
	return (p[0] & 0x07U) << 18 | (p[1] & 0x3FU) << 12 |
	       (p[2] & 0x3FU) << 6 | (p[3] & 0x3FU);
}

static void
put_string(struct buf *out, struct str v, const struct style *style)
{
	static const char names[] = "btn\0fr"; /* From 0x08 on. */
	const char *s = v.data, *end = v.data + v.len;
	unsigned int c;

	buf_putc(out, '"');
	while (s < end) {
		c = (unsigned char)*s;
		if (c >= 0x80 && style->ascii) {
			c = next_point(&s);
			if (c >= 0x10000) {
				c -= 0x10000;
				put_escape(out, 0xD800 + (c >> 10));
				put_escape(out, 0xDC00 + (c & 0x3FF));
			} else {
				put_escape(out, c);
			}
			continue;
		}
		if (c == '"' || c == '\\') {
			buf_putc(out, '\\');
			buf_putc(out, *s);
		} else if (c >= 0x08 && c <= 0x0D && c != 0x0B) {
			buf_putc(out, '\\');
			buf_putc(out, names[c - 0x08]);
		} else if (c < 0x20) {
			put_escape(out, c);
		} else {
			buf_putc(out, *s);
		}
		s++;
	}
	buf_putc(out, '"');
}

/* Nesting is bounded by the parser. */
static void
put_value(struct buf *out, const struct jval *v, const struct style *style)
{
	enum jdoc_kind kind = jval_kind(v);
	const struct jval *e = v + 1;
	struct jwrite w;
	uint32_t i;

	if (kind == JDOC_STRING) {
		put_string(out, jval_str(v), style);
		return;
	}
	if (kind != JDOC_ARRAY && kind != JDOC_OBJECT) {
		w = jwrite_begin(out, 0);
		jwrite_jval(&w, v);
		return;
	}
	buf_putc(out, kind == JDOC_ARRAY ? '[' : '{');
	for (i = 0; i < v->len; i++) {
		if (i > 0)
			buf_puts(out, style->spaced ? ", " : ",");
		if (kind == JDOC_OBJECT) {
			put_string(out, jval_str(e), style);
			buf_puts(out, style->spaced ? ": " : ":");
			e++;
		}
		put_value(out, e, style);
		e = jval_next(e);
	}
	buf_putc(out, kind == JDOC_ARRAY ? ']' : '}');
}

const char *
diagnose(const struct site *site, struct str hex, struct str body)
{
	static const struct style styles[] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}};
	const char *reason = "no secret matches";
	struct jdoc doc = {0};
	struct buf text = BUF_INIT;
	size_t i, len = body.len;

	if (len == 0 || len > MAX_BODY)
		return reason;
	if (body.data[len - 1] == '\n') {
		len -= len > 1 && body.data[len - 2] == '\r' ? 2 : 1;
		if (matches(site, hex, body.data, len))
			return "matches without the newline at the end, which "
			       "something on the way has added";
	}
	if (jdoc_parse(&doc, body.data, body.len, NULL, NULL) == -1)
		goto out;
	for (i = 0; i < NELEMS(styles); i++) {
		buf_reset(&text);
		put_value(&text, jdoc_root(&doc), &styles[i]);
		if (matches(site, hex, text.data, text.len)) {
			reason = "matches only after the JSON was written "
				 "anew: something on the way (a proxy, a "
				 "framework) has changed the body";
			break;
		}
	}
out:
	buf_free(&text);
	jdoc_free(&doc);
	return reason;
}
