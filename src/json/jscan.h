#ifndef JSON_JSCAN_H_
#define JSON_JSCAN_H_

/*
 * What the parser and the writer spend their time in: runs of plain text, white
 * space, numbers.  Sixteen bytes at a time where SSE2 is there (every x86-64),
 * eight elsewhere; never a byte past the end is read.
 *
 * Floor: 1 (json).  May include base/.
 */

#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/compiler.h"
#include "base/str.h"

struct jval;

/* How a number ended. */
enum jscan_outcome {
	JSCAN_OK,
	JSCAN_BAD,   /* Not a number: the byte at *${at} is out of place. */
	JSCAN_RANGE, /* Beyond what a double holds. */
};

/**
 * jscan_number(at, end, ret):
 * Read the number at *${at}, which is a minus or a digit there.
 *
 * Returns:   JSCAN_OK, *${at} is behind it and ${ret} is set; else *${at} is
 *            the first byte out of place, or where the number begins.
 */
enum jscan_outcome jscan_number(
    const char **at, const char *end, struct jval *ret);

/* Whether a byte of a string needs a closer look: '"', '\\', a control
 * character, or a part of a character beyond ASCII. */
static inline int
jscan_is_special(char c)
{
	return c == '"' || c == '\\' || (unsigned char)c < 0x20 ||
	       (unsigned char)c >= 0x80;
}

#ifdef __SSE2__
#define JSCAN_STEP 16

/* One bit for every special byte of the 16 at ${p}. */
static inline unsigned int
jscan_block(const char *p)
{
	const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
	const __m128i low = _mm_set1_epi8(0x1F);
	__m128i hit;

	/* The highest bit is what counts: a byte beyond ASCII has it. */
	hit = _mm_or_si128(x, _mm_cmpeq_epi8(_mm_max_epu8(x, low), low));
	hit = _mm_or_si128(hit, _mm_cmpeq_epi8(x, _mm_set1_epi8('"')));
	hit = _mm_or_si128(hit, _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
	return (unsigned int)_mm_movemask_epi8(hit);
}

/* Which of the 16 bytes at ${p} is special first; one is. */
static inline size_t
jscan_first(const char *p)
{
	return (size_t)__builtin_ctz(jscan_block(p));
}
#else
#define JSCAN_STEP 8

/* Not zero if one of the 8 bytes at ${p} is special. */
static inline uint64_t
jscan_block(const char *p)
{
	const uint64_t ones = 0x0101010101010101U, high = 0x8080808080808080U;
	uint64_t x, quote, slash;

	(void)memcpy(&x, p, sizeof(x));
	quote = x ^ (ones * '"');
	slash = x ^ (ones * '\\');
	return (x | (x - ones * 0x20) | (quote - ones) | (slash - ones)) & high;
}

/* Which of the 8 bytes at ${p} is special first; one is. */
static inline size_t
jscan_first(const char *p)
{
	size_t n = 0;

	while (!jscan_is_special(p[n]))
		n++;
	return n;
}
#endif

/* The first special byte at or behind ${p}, or ${end}. */
static inline const char *
jscan_plain(const char *p, const char *end)
{
	for (; end - p >= JSCAN_STEP; p += JSCAN_STEP) {
		if (jscan_block(p) != 0)
			return p + jscan_first(p);
	}
	while (p < end && !jscan_is_special(*p))
		p++;
	return p;
}

/**
 * jscan_copy(p, end, out):
 * The same, and copy what is before it to *${out}, which is moved on.  There is
 * room for JSCAN_STEP bytes more than are copied.
 */
static inline const char *
jscan_copy(const char *p, const char *end, char **out)
{
	char *to = *out;
	size_t n;

	/* A whole step is copied at once: what is too much of it is written
	 * over by what comes next. */
	for (; end - p >= JSCAN_STEP; p += JSCAN_STEP, to += JSCAN_STEP) {
		(void)memcpy(to, p, JSCAN_STEP);
		if (jscan_block(p) != 0) {
			n = jscan_first(p);
			*out = to + n;
			return p + n;
		}
	}
	while (p < end && !jscan_is_special(*p))
		*to++ = *p++;
	*out = to;
	return p;
}

/* Length of the character beyond ASCII at ${p}; 0 if it is not UTF-8. */
static inline size_t
jscan_utf8(const char *p, const char *end)
{
	const unsigned char c = (unsigned char)*p;

	/* Most have two or three bytes, and only few of these are special. */
	if (LIKELY(end - p >= 3)) {
		if (c >= 0xC2 && c <= 0xDF && (p[1] & 0xC0) == 0x80)
			return 2;
		if (c >= 0xE1 && c <= 0xEC && (p[1] & 0xC0) == 0x80 &&
		    (p[2] & 0xC0) == 0x80)
			return 3;
	}
	return str_utf8_len(p, (size_t)(end - p));
}

/* The first byte at or behind ${p} that is not white space, or ${end}. */
static inline const char *
jscan_space(const char *p, const char *end)
{
	/* In compact text there is none. */
	if (LIKELY(p < end && (unsigned char)*p > ' '))
		return p;
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

#endif /* !JSON_JSCAN_H_ */
