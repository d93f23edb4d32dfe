#ifndef CRYPTO_DIGEST_H_
#define CRYPTO_DIGEST_H_

/*
 * SHA-256 (FIPS 180-4) of bytes.  With a key: crypto/signature.h.
 *
 * Floor: 1 (crypto).
 */

#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 32

/* The hash of ${len} bytes.  Thread: any. */
void digest_sha256(const void *data, size_t len, uint8_t ret[DIGEST_BYTES]);

#endif /* !CRYPTO_DIGEST_H_ */
