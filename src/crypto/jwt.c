#include <stdint.h>

#include "base/buf.h"
#include "crypto/base64.h"
#include "crypto/signature.h"

#include "crypto/jwt.h"

void
jwt_hs256_with(struct buf *out, struct str header_json, struct str claims_json,
    const void *key, size_t keylen)
{
	struct signature_key *hmac = signature_key_create(key, keylen);
	uint8_t mac[SIGNATURE_BYTES];
	size_t begin = out->len;

	base64_encode(out, BASE64_URL, header_json.data, header_json.len);
	buf_putc(out, '.');
	base64_encode(out, BASE64_URL, claims_json.data, claims_json.len);
	signature_hmac(hmac, out->data + begin, out->len - begin, mac);
	signature_key_free(hmac);
	buf_putc(out, '.');
	base64_encode(out, BASE64_URL, mac, sizeof(mac));
}

void
jwt_hs256(
    struct buf *out, struct str claims_json, const void *key, size_t keylen)
{
	jwt_hs256_with(out, STR("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"),
	    claims_json, key, keylen);
}
