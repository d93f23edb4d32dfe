/* The plain SHA-256 state is wanted: it can be copied without an allocation. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/mem.h"

#include "crypto/signature.h"

#define BLOCK 64

/* Both hashes as they are after their padded key (RFC 2104). */
struct signature_key {
	SHA256_CTX inner;
	SHA256_CTX outer;
};

static void
begin(SHA256_CTX *ctx, const uint8_t key[BLOCK], uint8_t pad)
{
	uint8_t block[BLOCK];
	size_t i;

	for (i = 0; i < BLOCK; i++)
		block[i] = key[i] ^ pad;
	(void)SHA256_Init(ctx);
	(void)SHA256_Update(ctx, block, BLOCK);
	OPENSSL_cleanse(block, sizeof(block));
}

struct signature_key *
signature_key_create(const void *secret, size_t len)
{
	struct signature_key *key = mem_zalloc(sizeof(*key));
	uint8_t block[BLOCK] = {0};

	if (len > BLOCK)
		(void)SHA256(secret, len, block);
	else if (len > 0)
		(void)memcpy(block, secret, len);
	begin(&key->inner, block, 0x36);
	begin(&key->outer, block, 0x5c);
	OPENSSL_cleanse(block, sizeof(block));
	return key;
}

void
signature_key_free(struct signature_key *key)
{
	if (key == NULL)
		return;
	OPENSSL_cleanse(key, sizeof(*key));
	free(key);
}

void
signature_hmac(const struct signature_key *key, const void *data, size_t len,
    uint8_t ret_mac[SIGNATURE_BYTES])
{
	SHA256_CTX ctx = key->inner;
	uint8_t digest[SIGNATURE_BYTES];

	if (len > 0)
		(void)SHA256_Update(&ctx, data, len);
	(void)SHA256_Final(digest, &ctx);
	ctx = key->outer;
	(void)SHA256_Update(&ctx, digest, sizeof(digest));
	(void)SHA256_Final(ret_mac, &ctx);
	OPENSSL_cleanse(&ctx, sizeof(ctx));
}

void
signature_sign(const struct signature_key *key, const void *data, size_t len,
    char ret_hex[SIGNATURE_HEX + 1])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t mac[SIGNATURE_BYTES];
	size_t i;

	signature_hmac(key, data, len, mac);
	for (i = 0; i < SIGNATURE_BYTES; i++) {
		ret_hex[2 * i] = digits[mac[i] >> 4];
		ret_hex[2 * i + 1] = digits[mac[i] & 15];
	}
	ret_hex[SIGNATURE_HEX] = '\0';
}

/* The value of a hexadecimal digit, or 16. */
static unsigned int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned int)(c - 'A') + 10;
	return 16;
}

enum signature_verdict
signature_verify(const struct signature_key *const *keys, size_t nkeys,
    struct str hex, const void *data, size_t len)
{
	uint8_t given[SIGNATURE_BYTES], mac[SIGNATURE_BYTES];
	unsigned int hi, lo;
	size_t i;
	int good = 0;

	if (hex.len != SIGNATURE_HEX)
		return SIGNATURE_BAD_LENGTH;
	for (i = 0; i < SIGNATURE_BYTES; i++) {
		hi = digit(hex.data[2 * i]);
		lo = digit(hex.data[2 * i + 1]);
		if (hi > 15 || lo > 15)
			return SIGNATURE_BAD_DIGITS;
		given[i] = (uint8_t)(hi << 4 | lo);
	}

	/* No early exit: the answer comes as late for the first key. */
	for (i = 0; i < nkeys; i++) {
		signature_hmac(keys[i], data, len, mac);
		good |= CRYPTO_memcmp(given, mac, sizeof(mac)) == 0;
	}
	OPENSSL_cleanse(mac, sizeof(mac));
	return good ? SIGNATURE_GOOD : SIGNATURE_NO_MATCH;
}
