#ifndef CRYPTO_SECRET_H_
#define CRYPTO_SECRET_H_

/*
 * One secret value: wiped when it is freed, and never printed (there is no
 * function that formats one).
 *
 * Floor: 1 (crypto).  May include base/.
 */

#include <stddef.h>

struct secret {
	size_t len;
	char data[]; /* A NUL behind len. */
};

/* A copy of ${len} bytes.  Ownership: the caller frees with secret_free(). */
struct secret *secret_create(const void *data, size_t len);
void secret_free(struct secret *secret);

/* Overwrite memory in a way that the compiler keeps. */
void secret_wipe(void *data, size_t len);

/* Whether both hold the same bytes; how long it takes depends on the lengths
 * alone. */
int secret_equal(const void *a, size_t alen, const void *b, size_t blen);

#endif /* !CRYPTO_SECRET_H_ */
