#ifndef CRYPTO_SIGNATURE_H_
#define CRYPTO_SIGNATURE_H_

/*
 * The signature that Sentry puts on what it sends: HMAC-SHA256 of the raw body,
 * keyed with the client secret, as 64 hexadecimal digits.
 *
 * The state of the hash behind the key is made once a secret, so that a
 * signature costs no allocation and no look-up of an algorithm.
 *
 * Floor: 1 (crypto).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define SIGNATURE_BYTES 32
#define SIGNATURE_HEX 64

struct signature_key;

enum signature_verdict {
	SIGNATURE_GOOD,
	SIGNATURE_BAD_LENGTH, /* Not 64 characters. */
	SIGNATURE_BAD_DIGITS, /* 64, but not all are hexadecimal. */
	SIGNATURE_NO_MATCH    /* Of none of the keys, over these bytes. */
};

/**
 * signature_key_create(secret, len):
 * Prepare a key of any length.
 *
 * Ownership: borrows ${secret}; the caller frees with signature_key_free(),
 *            which wipes it.
 * Thread:    any; the key is read-only from then on, and may be shared.
 */
struct signature_key *signature_key_create(const void *secret, size_t len);
void signature_key_free(struct signature_key *key);

/* HMAC-SHA256 of ${len} bytes.  Thread: any. */
void signature_hmac(const struct signature_key *key, const void *data,
    size_t len, uint8_t ret_mac[SIGNATURE_BYTES]);

/* The same as 64 lower-case digits and a NUL: what a sender puts in the header.
 */
void signature_sign(const struct signature_key *key, const void *data,
    size_t len, char ret_hex[SIGNATURE_HEX + 1]);

/**
 * signature_verify(keys, nkeys, hex, data, len):
 * Compare the header's value ${hex} with what each key makes of the ${len}
 * bytes at ${data}.  Digits may be of either case.  Every key is tried, each in
 * constant time, so that how long it takes tells nothing about the keys.
 *
 * Thread:    any.
 */
enum signature_verdict signature_verify(const struct signature_key *const *keys,
    size_t nkeys, struct str hex, const void *data, size_t len);

#endif /* !CRYPTO_SIGNATURE_H_ */
