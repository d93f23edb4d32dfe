#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "base/str.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest first: that is how they are printed. */
static const struct unit durations[] = {
    {"d", 86400000},
    {"h", 3600000},
    {"m", 60000},
    {"s", 1000},
    {"ms", 1},
};
static const struct unit sizes[] = {
    {"TiB", 1ULL << 40},
    {"GiB", 1ULL << 30},
    {"MiB", 1ULL << 20},
    {"KiB", 1ULL << 10},
    {"B", 1},
    {"TB", 1000000000000},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"kB", 1000},
    {"KB", 1000},
};

struct str
str_of(const char *s)
{
	return (struct str){s, s == NULL ? 0 : strlen(s)};
}

int
str_eq(struct str a, struct str b)
{
	return a.len == b.len &&
	       (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

int
str_eq_nocase(struct str a, struct str b)
{
	return a.len == b.len &&
	       (a.len == 0 || strncasecmp(a.data, b.data, a.len) == 0);
}

int
str_parse_u64(struct str s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	unsigned int digit;
	size_t i;

	if (s.len == 0)
		return -1;
	for (i = 0; i < s.len; i++) {
		if (s.data[i] < '0' || s.data[i] > '9')
			return -1;
		digit = (unsigned int)(s.data[i] - '0');
		if (v > (max - digit) / 10 || digit > max)
			return -1;
		v = v * 10 + digit;
	}
	*ret = v;
	return 0;
}

/* A number and one of ${units}; ${bare} is the factor without a unit. */
static int
parse_with_unit(struct str s, const struct unit *units, size_t n, uint64_t bare,
    uint64_t *ret)
{
	uint64_t v, factor = bare;
	size_t digits = 0, i;
	struct str rest;

	while (digits < s.len && s.data[digits] >= '0' && s.data[digits] <= '9')
		digits++;
	if (str_parse_u64((struct str){s.data, digits}, UINT64_MAX, &v) == -1)
		return -1;
	rest = (struct str){s.data + digits, s.len - digits};
	if (rest.len > 0) {
		for (i = 0; i < n; i++) {
			if (str_eq(rest, str_of(units[i].name)))
				break;
		}
		if (i == n)
			return -1;
		factor = units[i].factor;
	}
	if (v > INT64_MAX / factor)
		return -1;
	*ret = v * factor;
	return 0;
}

int
str_parse_duration(struct str s, uint64_t *ret_ms, struct err *err)
{
	if (parse_with_unit(s, durations, NELEMS(durations), 1000, ret_ms) ==
	    -1)
		return err_set(err, ERR_INVALID,
		    "'%.*s' is not a duration (examples: 500ms, 2s, 10m, 1h, "
		    "7d)",
		    (int)(s.len > 40 ? 40 : s.len), s.data);
	return 0;
}

int
str_parse_size(struct str s, uint64_t *ret_bytes, struct err *err)
{
	if (parse_with_unit(s, sizes, NELEMS(sizes), 1, ret_bytes) == -1)
		return err_set(err, ERR_INVALID,
		    "'%.*s' is not a size (examples: 65536, 64KiB, 1MiB, 8GiB)",
		    (int)(s.len > 40 ? 40 : s.len), s.data);
	return 0;
}

static void
put_with_unit(struct buf *buf, uint64_t v, const struct unit *units, size_t n)
{
	size_t i;

	for (i = 0; i + 1 < n; i++) {
		if (v >= units[i].factor && v % units[i].factor == 0)
			break;
	}
	buf_printf(buf, "%llu%s", (unsigned long long)(v / units[i].factor),
	    units[i].name);
}

void
str_put_duration(struct buf *buf, uint64_t ms)
{
	if (ms == 0)
		buf_puts(buf, "0s");
	else
		put_with_unit(buf, ms, durations, NELEMS(durations));
}

void
str_put_size(struct buf *buf, uint64_t bytes)
{
	if (bytes % 1024 != 0 || bytes == 0)
		buf_printf(buf, "%llu", (unsigned long long)bytes);
	else
		put_with_unit(buf, bytes, sizes, 5);
}

/* Edits between ${a} and ${b}; Damerau-Levenshtein, swaps of neighbours. */
static size_t
distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b), width = lb + 1, i, j, best;
	size_t *d = mem_array((la + 1) * width, sizeof(*d));

	for (i = 0; i <= la; i++)
		d[i * width] = i;
	for (j = 0; j <= lb; j++)
		d[j] = j;
	for (i = 1; i <= la; i++) {
		for (j = 1; j <= lb; j++) {
			best = d[(i - 1) * width + j - 1] +
			       (a[i - 1] == b[j - 1] ? 0 : 1);
			if (d[(i - 1) * width + j] + 1 < best)
				best = d[(i - 1) * width + j] + 1;
			if (d[i * width + j - 1] + 1 < best)
				best = d[i * width + j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] &&
			    d[(i - 2) * width + j - 2] + 1 < best)
				best = d[(i - 2) * width + j - 2] + 1;
			d[i * width + j] = best;
		}
	}
	best = d[la * width + lb];
	free(d);
	return best;
}

const char *
str_closest(const char *name, const char *const *candidates, size_t n)
{
	const char *found = NULL;
	size_t i, dist, best = SIZE_MAX;

	if (strlen(name) > 100)
		return NULL;
	for (i = 0; i < n; i++) {
		if (strlen(candidates[i]) > 100)
			continue;
		dist = distance(name, candidates[i]);
		if (dist < best && dist <= (strlen(candidates[i]) + 2) / 3) {
			best = dist;
			found = candidates[i];
		}
	}
	return found;
}

size_t
str_utf8_len(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned int lo = 0x80, hi = 0xBF;
	size_t n, i;

	if (len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xC2 && p[0] <= 0xDF)
		n = 2;
	else if (p[0] >= 0xE0 && p[0] <= 0xEF)
		n = 3;
	else if (p[0] >= 0xF0 && p[0] <= 0xF4)
		n = 4;
	else
		return 0;
	if (len < n)
		return 0;
	/* No overlong forms, no surrogates, nothing past U+10FFFF. */
	if (p[0] == 0xE0)
		lo = 0xA0;
	else if (p[0] == 0xED)
		hi = 0x9F;
	else if (p[0] == 0xF0)
		lo = 0x90;
	else if (p[0] == 0xF4)
		hi = 0x8F;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (i = 2; i < n; i++) {
		if (p[i] < 0x80 || p[i] > 0xBF)
			return 0;
	}
	return n;
}

void
str_put_json(struct buf *buf, struct str s)
{
	unsigned char c;
	size_t i, n;

	buf_putc(buf, '"');
	for (i = 0; i < s.len; i += n) {
		c = (unsigned char)s.data[i];
		n = str_utf8_len(s.data + i, s.len - i);
		if (n == 0) {
			buf_puts(buf, "\xEF\xBF\xBD");
			n = 1;
		} else if (c == '"' || c == '\\') {
			buf_putc(buf, '\\');
			buf_putc(buf, (char)c);
		} else if (c == '\n') {
			buf_puts(buf, "\\n");
		} else if (c == '\r') {
			buf_puts(buf, "\\r");
		} else if (c == '\t') {
			buf_puts(buf, "\\t");
		} else if (c < 0x20 || c == 0x7F) {
			buf_printf(buf, "\\u%04x", c);
		} else {
			buf_put(buf, s.data + i, n);
		}
	}
	buf_putc(buf, '"');
}

void
str_put_visible(struct buf *buf, struct str s)
{
	unsigned char c;
	size_t i, n, k;

	for (i = 0; i < s.len; i += n) {
		c = (unsigned char)s.data[i];
		n = str_utf8_len(s.data + i, s.len - i);
		/* U+0080 to U+009F are control characters as well. */
		if (n == 0 || c < 0x20 || c == 0x7F ||
		    (c == 0xC2 && (unsigned char)s.data[i + 1] < 0xA0)) {
			n = n == 0 ? 1 : n;
			for (k = 0; k < n; k++)
				buf_printf(buf, "\\x%02x",
				    (unsigned char)s.data[i + k]);
		} else {
			buf_put(buf, s.data + i, n);
		}
	}
}

void
str_put_hex(struct buf *buf, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *in = data;
	char *to = buf_reserve(buf, 2 * len);
	size_t i;

	for (i = 0; i < len; i++) {
		*to++ = digits[in[i] >> 4];
		*to++ = digits[in[i] & 15];
	}
	*to = '\0';
	buf->len += 2 * len;
}

uint64_t
str_hash(struct str s)
{
	uint64_t h = 0xcbf29ce484222325U;
	size_t i;

	for (i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.data[i]) * 0x100000001b3U;
	return h;
}
