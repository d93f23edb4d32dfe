#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "crypto/base64.h"
#include "crypto/jwt.h"

/* RFC 7515, appendix A.1. */
static const char rfc_key[] =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUu"
    "TwjAzZr1Z9CAow";
static const char rfc_header[] = "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";
static const char rfc_claims[] =
    "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
    "\"http://example.com/is_root\":true}";
static const char rfc_token[] =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvb"
    "S9pc19yb290Ijp0cnVlfQ."
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

Test(jwt, agrees_with_rfc_7515)
{
	struct buf key = BUF_INIT, out = BUF_INIT;

	cr_assert_eq(
	    base64_decode(&key, BASE64_URL, rfc_key, strlen(rfc_key), NULL), 0);
	/* Appended to what is there, which is not signed. */
	buf_puts(&out, "Bearer ");
	jwt_hs256_with(
	    &out, STR(rfc_header), STR(rfc_claims), key.data, key.len);
	cr_expect_str_eq(out.data + 7, rfc_token);
	cr_expect_eq(memcmp(out.data, "Bearer ", 7), 0);
	buf_free(&key);
	buf_free(&out);
}

Test(jwt, begins_with_the_usual_header)
{
	struct buf out = BUF_INIT;

	/* Computed with Python's hmac. */
	jwt_hs256(&out, STR("{}"), "", 0);
	cr_expect_str_eq(out.data,
	    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30."
	    "LwimMJA3puF3ioGeS-tfczR3370GXBZMIL-bdpu4hOU");
	buf_free(&out);
}
