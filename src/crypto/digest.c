#include <openssl/sha.h>

#include "crypto/digest.h"

void
digest_sha256(const void *data, size_t len, uint8_t ret[DIGEST_BYTES])
{
	/* OpenSSL takes no NULL, which may stand for nothing. */
	(void)SHA256(len == 0 ? (const uint8_t *)"" : data, len, ret);
}
