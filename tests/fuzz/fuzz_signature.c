#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first bytes are the header's value, the rest is the body. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct signature_key *key = signature_key_create("abc123", 6);
	const struct signature_key *keys[1];
	char right[SIGNATURE_HEX + 1];
	size_t hexlen = size < 66 ? size : data[0] % 67;
	struct str hex = {(const char *)data, hexlen};

	keys[0] = key;
	(void)signature_verify(keys, 1, hex, data + hexlen, size - hexlen);
	signature_sign(key, data + hexlen, size - hexlen, right);
	assert(signature_verify(keys, 1, (struct str){right, SIGNATURE_HEX},
		   data + hexlen, size - hexlen) == SIGNATURE_GOOD);
	signature_key_free(key);
	return 0;
}
