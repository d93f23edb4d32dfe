#ifndef CATALOG_SAMPLEGEN_H_
#define CATALOG_SAMPLEGEN_H_

/*
 * A value that a JSON Schema accepts, as far as that can be guessed by going
 * down it once: for documents whose messages have no examples.  Whether it is
 * accepted is for the caller to check.
 *
 * Floor: 2 (catalog).  May include base/, json/.
 */

#include <stddef.h>
#include <stdint.h>

struct buf;
struct jval;

/* What a value is made with. */
struct samplegen {
	const struct jval *root; /* References lead in there. */
	const char *action;      /* For the property `action` of the outermost
				  * object; NULL: what the schema says. */
	unsigned int turn;       /* 0, 1, ...: which branch of a choice. */
	uint64_t now_ms;         /* For times; Unix. */
};

/**
 * samplegen_put(gen, schema, out):
 * Append a value for ${schema} to ${out} as JSON.
 *
 * Thread:    any.
 */
void samplegen_put(
    const struct samplegen *gen, const struct jval *schema, struct buf *out);

/* Fill ${p} with ${n} random bytes; unforeseeable, but not meant for secrets.
 */
void samplegen_random(void *p, size_t n);

/* Append ${n} random digits, the first neither 0 nor 9. */
void samplegen_put_digits(struct buf *out, size_t n);

/* Append a random UUID of version 4. */
void samplegen_put_uuid(struct buf *out);

#endif /* !CATALOG_SAMPLEGEN_H_ */
