#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/base64.h"

static const char *const vectors[][3] = {{"", "", ""}, {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"}, {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"}, {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"}, {"\xfb\xff\xfe", "+//+", "-__-"}};

Test(base64, agrees_with_rfc_4648_both_ways)
{
	struct buf out = BUF_INIT;
	size_t i;
	int kind;

	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		for (kind = 0; kind < 2; kind++) {
			buf_reset(&out);
			base64_encode(&out, (enum base64_kind)kind,
			    vectors[i][0], strlen(vectors[i][0]));
			cr_expect_str_eq(buf_text(&out), vectors[i][1 + kind]);
			buf_reset(&out);
			cr_expect_eq(base64_decode(&out, (enum base64_kind)kind,
					 vectors[i][1 + kind],
					 strlen(vectors[i][1 + kind]), NULL),
			    0);
			cr_expect_str_eq(buf_text(&out), vectors[i][0]);
		}
	}
	buf_free(&out);
}

Test(base64, refuses_what_is_not_canonical)
{
	static const char *const bad[] = {"A", "AA", "AAA",
	    "AA=", "A===", "AAAA=", "====", "=",
	    "AB==", "AAB=", "A A=", "Zg==Zg==", "-_-_", "Zm9v\n"};
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	size_t i;

	buf_puts(&out, "kept");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect_eq(base64_decode(&out, BASE64_STANDARD, bad[i],
				 strlen(bad[i]), &err),
		    -1, "%s", bad[i]);
		cr_expect_eq(err.code, ERR_INVALID);
		cr_expect_str_eq(out.data, "kept");
	}
	cr_expect_eq(base64_decode(&out, BASE64_URL, "+w", 2, &err), -1);
	cr_expect_eq(base64_decode(&out, BASE64_URL, "Zg==", 4, &err), 0);
	buf_free(&out);
}
