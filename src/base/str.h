#ifndef BASE_STR_H_
#define BASE_STR_H_

/*
 * Text: numbers, durations and sizes with units, likeness of names, escaping.
 *
 * Floor: 0 (base).
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct buf;
struct err;

/* Bytes that belong to somebody else; not NUL-terminated. */
struct str {
	const char *data;
	size_t len;
};

/* A struct str of a string literal. */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

/* The struct str of a C string; NULL is empty. */
struct str str_of(const char *s);

/* Whether both hold the same bytes. */
int str_eq(struct str a, struct str b);

/* Whether ${a} is ${b}, letter case of ASCII aside. */
int str_eq_nocase(struct str a, struct str b);

/**
 * str_parse_u64(s, max, ret):
 * Read decimal digits and nothing else.
 *
 * Returns:   0, or -1 if it is not that, or more than ${max}.
 */
int str_parse_u64(struct str s, uint64_t max, uint64_t *ret) ATTR_MUSTCHECK;

/**
 * str_parse_duration(s, ret_ms, err):
 * Read "500ms", "2s", "10m", "1h", "7d"; a bare number is seconds, "0" is none.
 *
 * Errors:    ERR_INVALID      not a duration.
 */
int str_parse_duration(
    struct str s, uint64_t *ret_ms, struct err *err) ATTR_MUSTCHECK;

/**
 * str_parse_size(s, ret_bytes, err):
 * Read "65536", "64KiB", "64MiB", "8GiB", "1TiB" (also with kB, MB, GB, TB:
 * powers of 1000).
 *
 * Errors:    ERR_INVALID      not a size.
 */
int str_parse_size(
    struct str s, uint64_t *ret_bytes, struct err *err) ATTR_MUSTCHECK;

/* Append a duration or a size as a person writes it: "1h", "64MiB", "1500ms".
 */
void str_put_duration(struct buf *buf, uint64_t ms);
void str_put_size(struct buf *buf, uint64_t bytes);

/**
 * str_closest(name, candidates, n):
 * The candidate that was probably meant: the one with the fewest single-letter
 * edits (a swap of neighbours is one), if those are at most a third of its
 * letters, else NULL.
 *
 * Ownership: the result is one of ${candidates}.
 */
const char *str_closest(
    const char *name, const char *const *candidates, size_t n);

/**
 * str_put_json(buf, s):
 * Append ${s} as a JSON string with its quotes.  Bytes that are not UTF-8
 * become U+FFFD, so that the result is always valid.
 */
void str_put_json(struct buf *buf, struct str s);

/**
 * str_put_visible(buf, s):
 * Append ${s} with control characters, also those of C1, as \xNN, so that what
 * a peer sent cannot drive a terminal.
 */
void str_put_visible(struct buf *buf, struct str s);

/* Append ${len} bytes as lower-case hexadecimal digits, two each. */
void str_put_hex(struct buf *buf, const void *data, size_t len);

/**
 * str_utf8_len(s, len):
 * Length in bytes of the well-formed UTF-8 sequence (RFC 3629) at ${s}, or 0.
 */
size_t str_utf8_len(const char *s, size_t len);

/* A hash of bytes (FNV-1a, 64 bit), for tables; not against an adversary. */
uint64_t str_hash(struct str s);

#endif /* !BASE_STR_H_ */
