#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/str.h"
#include "crypto/digest.h"

static void
expect(const void *data, size_t len, const char *hex)
{
	uint8_t digest[DIGEST_BYTES];
	struct buf text = BUF_INIT;

	digest_sha256(data, len, digest);
	str_put_hex(&text, digest, sizeof(digest));
	cr_expect_str_eq(text.data, hex);
	buf_free(&text);
}

/* NIST's examples for FIPS 180, and nothing at all. */
Test(digest, agrees_with_fips_180)
{
	struct buf many = BUF_INIT;
	int i;

	expect("abc", 3,
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	expect(NULL, 0,
	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	expect("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
	    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	for (i = 0; i < 1000000; i++)
		buf_putc(&many, 'a');
	expect(many.data, many.len,
	    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	buf_free(&many);
}
