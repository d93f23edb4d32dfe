#ifndef CRYPTO_BASE64_H_
#define CRYPTO_BASE64_H_

/*
 * Base64 (RFC 4648): the standard alphabet with padding, and the one for URLs
 * without.
 *
 * Floor: 1 (crypto).  May include base/.
 */

#include <stddef.h>

#include "base/compiler.h"

struct buf;
struct err;

enum base64_kind {
	BASE64_STANDARD, /* "+" and "/", padded with "=". */
	BASE64_URL       /* "-" and "_", no padding. */
};

/* Append the base64 form of ${len} bytes.  Thread: any. */
void base64_encode(
    struct buf *out, enum base64_kind kind, const void *data, size_t len);

/**
 * base64_decode(out, kind, text, len, err):
 * Append the bytes that ${text} stands for.  Padding must be right where it is
 * due (standard); it may be there or not in the form for URLs.
 *
 * Returns:   0, or -1 and ${out} is as it was.
 * Errors:    ERR_INVALID      another character, a wrong length, or bits set
 *                             that stand for nothing.
 * Thread:    any.
 */
int base64_decode(struct buf *out, enum base64_kind kind, const char *text,
    size_t len, struct err *err) ATTR_MUSTCHECK;

#endif /* !CRYPTO_BASE64_H_ */
