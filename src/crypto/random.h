#ifndef CRYPTO_RANDOM_H_
#define CRYPTO_RANDOM_H_

/*
 * Unpredictable bytes from the kernel, for keys, tokens and ids.  Where the
 * kernel has none the process aborts: nothing safe could follow.
 *
 * Floor: 1 (crypto).  May include base/.
 */

#include <stddef.h>

/* "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx" and its NUL. */
#define RANDOM_UUID_SIZE 37

/* Fill ${len} bytes.  Thread: any. */
void random_bytes(void *ret, size_t len);

/* ${nbytes} random bytes as 2 * ${nbytes} lower-case digits and a NUL. */
void random_hex(char *ret, size_t nbytes);

/* A UUID of version 4 (RFC 9562), lower case.  Returns ${ret}. */
char *random_uuid4(char ret[static RANDOM_UUID_SIZE]);

#endif /* !CRYPTO_RANDOM_H_ */
