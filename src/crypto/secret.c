#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/mem.h"

#include "crypto/secret.h"

struct secret *
secret_create(const void *data, size_t len)
{
	struct secret *secret = mem_alloc(sizeof(*secret) + len + 1);

	secret->len = len;
	if (len > 0)
		(void)memcpy(secret->data, data, len);
	secret->data[len] = '\0';
	return secret;
}

void
secret_free(struct secret *secret)
{
	if (secret == NULL)
		return;
	OPENSSL_cleanse(secret, sizeof(*secret) + secret->len);
	free(secret);
}

void
secret_wipe(void *data, size_t len)
{
	OPENSSL_cleanse(data, len);
}

int
secret_equal(const void *a, size_t alen, const void *b, size_t blen)
{
	return alen == blen && CRYPTO_memcmp(a, b, alen) == 0;
}
