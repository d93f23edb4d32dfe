#include <string.h>

#include <criterion/criterion.h>

#include "crypto/signature.h"

static void
must_be(const void *key, size_t keylen, const void *data, size_t len,
    const char *hex)
{
	struct signature_key *k = signature_key_create(key, keylen);
	char got[SIGNATURE_HEX + 1];

	signature_sign(k, data, len, got);
	cr_expect_str_eq(got, hex);
	signature_key_free(k);
}

Test(signature, agrees_with_rfc_4231)
{
	char key[131], data[152];

	memset(key, 0x0b, 20);
	must_be(key, 20, "Hi There", 8,
	    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	must_be("Jefe", 4, "what do ya want for nothing?", 28,
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	memset(data, 0xdd, 50);
	must_be(key, 20, data, 50,
	    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	must_be(key, 131,
	    "Test Using Larger Than Block-Size Key - Hash Key First", 54,
	    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

Test(signature, agrees_with_sentry)
{
	must_be("abc123", 6, "{\"issue\":123456}", 16,
	    "0e2041f59516f3d4507b22216f2e0050931692c1ae71c4207d38d79781963dfa");
	must_be("abc123", 6, "", 0,
	    "6d2d9fc610337f813a1b85869ec214129940860543ad04308d87357f6c0133f6");
	must_be("abc123", 6, NULL, 0,
	    "6d2d9fc610337f813a1b85869ec214129940860543ad04308d87357f6c0133f6");
}

Test(signature, takes_any_of_several_keys)
{
	const struct signature_key *keys[3];
	struct signature_key *other, *right, *empty;
	const char *body = "{\"a\":1}";
	char hex[SIGNATURE_HEX + 1];
	size_t i;

	other = signature_key_create("other", 5);
	right = signature_key_create("right", 5);
	empty = signature_key_create("", 0);
	signature_sign(right, body, strlen(body), hex);
	for (i = 0; i < 3; i++) {
		keys[0] = keys[1] = keys[2] = other;
		keys[i] = right;
		cr_expect_eq(
		    signature_verify(keys, 3, str_of(hex), body, strlen(body)),
		    SIGNATURE_GOOD);
	}
	keys[0] = other;
	keys[1] = empty;
	cr_expect_eq(signature_verify(keys, 2, str_of(hex), body, strlen(body)),
	    SIGNATURE_NO_MATCH);
	cr_expect_eq(signature_verify(keys, 0, str_of(hex), body, strlen(body)),
	    SIGNATURE_NO_MATCH);
	signature_key_free(other);
	signature_key_free(right);
	signature_key_free(empty);
	signature_key_free(NULL);
}

Test(signature, says_what_is_wrong_with_the_header)
{
	struct signature_key *key = signature_key_create("abc123", 6);
	const struct signature_key *keys[1];
	char hex[SIGNATURE_HEX + 3] = "";
	size_t i;

	keys[0] = key;
	signature_sign(key, "x", 1, hex);
	cr_expect_eq(
	    signature_verify(keys, 1, str_of(hex), "y", 1), SIGNATURE_NO_MATCH);
	cr_expect_eq(signature_verify(keys, 1, (struct str){hex, 63}, "x", 1),
	    SIGNATURE_BAD_LENGTH);
	cr_expect_eq(
	    signature_verify(keys, 1, STR(""), "x", 1), SIGNATURE_BAD_LENGTH);
	for (i = 0; i < SIGNATURE_HEX; i++) {
		signature_sign(key, "x", 1, hex);
		hex[i] = (char)(hex[i] == '0' ? '1' : '0');
		cr_expect_eq(signature_verify(keys, 1, str_of(hex), "x", 1),
		    SIGNATURE_NO_MATCH);
		hex[i] = 'g';
		cr_expect_eq(signature_verify(keys, 1, str_of(hex), "x", 1),
		    SIGNATURE_BAD_DIGITS);
	}
	signature_sign(key, "x", 1, hex);
	hex[64] = '0';
	cr_expect_eq(signature_verify(keys, 1, (struct str){hex, 65}, "x", 1),
	    SIGNATURE_BAD_LENGTH);
	signature_key_free(key);
}

Test(signature, takes_digits_of_either_case)
{
	struct signature_key *key = signature_key_create("abc123", 6);
	const struct signature_key *keys[1];

	keys[0] = key;
	cr_expect_eq(signature_verify(keys, 1,
			 STR("0E2041F59516F3D4507B22216F2E0050931692C1AE71C420"
			     "7D38D79781963DFA"),
			 "{\"issue\":123456}", 16),
	    SIGNATURE_GOOD);
	signature_key_free(key);
}
