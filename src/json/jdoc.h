#ifndef JSON_JDOC_H_
#define JSON_JDOC_H_

/*
 * A JSON text, parsed strictly (RFC 8259) into one tape.
 *
 * The tape is an array of 16-byte values in document order.  A container is
 * followed by what it holds: an array by its elements, an object by key, value,
 * key, value.  Strings without an escape point into the text itself, so the
 * text must outlive the document; the others are in the document's arena.
 *
 * Refused with their offset: NaN, Infinity, hexadecimal, a leading zero or
 * plus, a bare point, single quotes, comments, trailing commas, a byte order
 * mark, raw control characters, a lone surrogate, bytes that are not UTF-8,
 * text behind the value, a number beyond the range of a double, and what is
 * nested deeper or is longer than the limits.  A key that occurs twice is
 * allowed, and the last one counts (jdoc_get()).
 *
 * Floor: 1 (json).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/str.h"

struct err;

/* Nesting that is accepted; the outermost container is 1 deep. */
#define JDOC_MAX_DEPTH 512

/* Offsets and counts on the tape have 32 bits. */
#define JDOC_MAX_TEXT (256U << 20)

enum jdoc_kind {
	JDOC_NULL,
	JDOC_FALSE,
	JDOC_TRUE,
	JDOC_INT,    /* A whole number that an int64_t holds, written without
		      * fraction or exponent: exact. */
	JDOC_UINT,   /* The same above INT64_MAX and up to UINT64_MAX. */
	JDOC_REAL,   /* Any other number. */
	JDOC_STRING, /* UTF-8, may hold U+0000. */
	JDOC_ARRAY,
	JDOC_OBJECT,
};

/* One value on the tape.  Read it with the functions below. */
struct jval {
	uint32_t kind; /* enum jdoc_kind in the low 8 bits. */
	uint32_t len;  /* String: bytes.  Array: elements.  Object: members. */
	union {
		int64_t i;
		uint64_t u;
		double d;
		const char *s;
		uint32_t size; /* Container: values on the tape, itself too. */
	} v;
};

/* Embedded in its owner; all zero is a document that was never parsed. */
struct jdoc {
	struct jval *tape; /* The root value is the first. */
	size_t tape_len;
	size_t tape_cap;
	size_t tape_max;      /* Values that it may grow to; 0: no limit.  The
			       * owner's to set. */
	int tape_full;        /* The last text needed more. */
	struct arena strings; /* Strings that had an escape. */
};

/**
 * jdoc_parse(doc, text, len, ret_offset, err):
 * Parse ${len} bytes.  ${doc} may have been used before: its memory is used
 * again, and what it held is gone.
 *
 * Units:     *${ret_offset} counts bytes from 0; it may be NULL.
 * Returns:   0, or -1, *${ret_offset} is set and ${doc} is empty.
 * Errors:    ERR_INVALID      not JSON: the message says what was found there;
 *            ERR_TOO_LARGE    nested deeper than JDOC_MAX_DEPTH, or longer
 *                             than JDOC_MAX_TEXT, or more values than tape_max.
 * Ownership: ${doc} keeps ${text}; free with jdoc_free().
 * Thread:    any, one at a time per document.
 */
int jdoc_parse(struct jdoc *doc, const char *text, size_t len,
    size_t *ret_offset, struct err *err) ATTR_MUSTCHECK;

/* Give the memory back; the document can be used again. */
void jdoc_free(struct jdoc *doc);

/* The outermost value. */
static inline const struct jval *
jdoc_root(const struct jdoc *doc)
{
	return doc->tape;
}

static inline enum jdoc_kind
jval_kind(const struct jval *v)
{
	return (enum jdoc_kind)(v->kind & 0xFF);
}

static inline int
jval_is_number(const struct jval *v)
{
	return jval_kind(v) >= JDOC_INT && jval_kind(v) <= JDOC_REAL;
}

/* A string's bytes; not NUL-terminated. */
static inline struct str
jval_str(const struct jval *v)
{
	return (struct str){v->v.s, v->len};
}

/* Any number as a double. */
static inline double
jval_double(const struct jval *v)
{
	return jval_kind(v) == JDOC_REAL  ? v->v.d
	       : jval_kind(v) == JDOC_INT ? (double)v->v.i
					  : (double)v->v.u;
}

/*
 * The value behind ${v} and all that it holds.  Walking an array:
 *
 *	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e))
 *
 * and an object, whose members are a key e and a value e + 1:
 *
 *	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1))
 */
static inline const struct jval *
jval_next(const struct jval *v)
{
	return v + (jval_kind(v) >= JDOC_ARRAY ? v->v.size : 1);
}

/**
 * jdoc_get(object, key):
 * The value of the last member ${key}; NULL if there is none, or if ${object}
 * is NULL or not an object, so that look-ups can be chained.
 */
const struct jval *jdoc_get(const struct jval *object, struct str key);

/* The same for a key that is a literal or a C string. */
const struct jval *jdoc_gets(const struct jval *object, const char *key);

/* The string there, or an empty one (data NULL) if it is not a string. */
struct str jdoc_get_str(const struct jval *object, const char *key);

/* The element at ${index}, or NULL. */
const struct jval *jdoc_at(const struct jval *array, size_t index);

/**
 * jdoc_equal(a, b):
 * Whether two values are equal as JSON: numbers by their value (1 and 1.0 are),
 * objects whatever the order of their members.
 */
int jdoc_equal(const struct jval *a, const struct jval *b);

/* "null", "boolean", "integer", "number", "string", "array" or "object". */
const char *jval_type_name(const struct jval *v);

#endif /* !JSON_JDOC_H_ */
