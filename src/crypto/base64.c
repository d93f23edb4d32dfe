#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#include "crypto/base64.h"

static const char *const alphabets[] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};

void
base64_encode(
    struct buf *out, enum base64_kind kind, const void *data, size_t len)
{
	const char *letters = alphabets[kind];
	const uint8_t *in = data;
	uint32_t v;
	char *to;

	to = buf_reserve(out, (len + 2) / 3 * 4);
	for (; len >= 3; len -= 3, in += 3) {
		v = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
		*to++ = letters[v >> 18];
		*to++ = letters[v >> 12 & 63];
		*to++ = letters[v >> 6 & 63];
		*to++ = letters[v & 63];
	}
	if (len > 0) {
		v = (uint32_t)in[0] << 16 |
		    (len > 1 ? (uint32_t)in[1] << 8 : 0);
		*to++ = letters[v >> 18];
		*to++ = letters[v >> 12 & 63];
		if (len > 1)
			*to++ = letters[v >> 6 & 63];
		else if (kind == BASE64_STANDARD)
			*to++ = '=';
		if (kind == BASE64_STANDARD)
			*to++ = '=';
	}
	out->len = (size_t)(to - out->data);
	*to = '\0';
}

/* The value of a letter, or 64. */
static uint32_t
value(enum base64_kind kind, char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint32_t)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0') + 52;
	if (c == alphabets[kind][62])
		return 62;
	if (c == alphabets[kind][63])
		return 63;
	return 64;
}

int
base64_decode(struct buf *out, enum base64_kind kind, const char *text,
    size_t len, struct err *err)
{
	size_t before = out->len, pad = 0, i;
	uint32_t bits = 0, v;
	unsigned int nbits = 0;

	while (len > 0 && pad < 2 && text[len - 1] == '=') {
		len--;
		pad++;
	}
	if (len % 4 == 1 || (pad > 0 && (len + pad) % 4 != 0) ||
	    (kind == BASE64_STANDARD && (len + pad) % 4 != 0))
		return err_set(err, ERR_INVALID,
		    "%zu characters are no base64 text", len + pad);
	(void)buf_reserve(out, len / 4 * 3 + 3);
	for (i = 0; i < len; i++) {
		v = value(kind, text[i]);
		if (v > 63) {
			(void)err_set(err, ERR_INVALID,
			    "the character at %zu is not of base64", i);
			goto bad;
		}
		bits = bits << 6 | v;
		nbits += 6;
		if (nbits >= 8) {
			nbits -= 8;
			buf_putc(out, (char)(bits >> nbits & 0xFF));
		}
	}
	if ((bits & ((1U << nbits) - 1)) != 0) {
		(void)err_set(err, ERR_INVALID,
		    "the last character of the base64 text has bits too many");
		goto bad;
	}
	return 0;
bad:
	out->len = before;
	if (out->data != NULL)
		out->data[before] = '\0';
	return -1;
}
