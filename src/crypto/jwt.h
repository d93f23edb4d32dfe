#ifndef CRYPTO_JWT_H_
#define CRYPTO_JWT_H_

/*
 * JSON Web Tokens (RFC 7519) in the compact form, signed with HMAC-SHA256
 * ("HS256", RFC 7518 section 3.2).
 *
 * Floor: 1 (crypto).  May include base/.
 */

#include <stddef.h>

#include "base/str.h"

struct buf;

/**
 * jwt_hs256(out, claims_json, key, keylen):
 * Append the token that holds ${claims_json}, which must be a JSON object; its
 * bytes are signed as they are.  The header says {"alg":"HS256","typ":"JWT"}.
 *
 * Ownership: borrows everything.
 * Thread:    any.
 */
void jwt_hs256(
    struct buf *out, struct str claims_json, const void *key, size_t keylen);

/* The same with another header; it must be a JSON object that names HS256. */
void jwt_hs256_with(struct buf *out, struct str header_json,
    struct str claims_json, const void *key, size_t keylen);

#endif /* !CRYPTO_JWT_H_ */
