#include <string.h>

#include <criterion/criterion.h>

#include "crypto/random.h"

Test(random, bytes_differ_and_stay_in_bounds)
{
	unsigned char a[66] = {0}, b[66] = {0};

	random_bytes(a + 1, 64);
	random_bytes(b + 1, 64);
	cr_expect_neq(memcmp(a, b, 66), 0);
	cr_expect_eq(a[0] | a[65] | b[0] | b[65], 0);
	random_bytes(a, 0);
}

Test(random, hex_is_lower_case_and_as_long_as_asked)
{
	char text[201];
	size_t i;

	for (i = 0; i <= 100; i++) {
		memset(text, 'z', sizeof(text));
		random_hex(text, i);
		cr_assert_eq(strlen(text), 2 * i);
		cr_assert_eq(strspn(text, "0123456789abcdef"), 2 * i);
	}
}

Test(random, uuid_is_of_version_4)
{
	char a[RANDOM_UUID_SIZE], b[RANDOM_UUID_SIZE];
	int i;

	for (i = 0; i < 200; i++) {
		cr_assert_eq(random_uuid4(a), a);
		cr_assert_eq(strlen(a), 36);
		cr_assert(a[8] == '-' && a[13] == '-' && a[18] == '-' &&
			  a[23] == '-');
		cr_assert_eq(a[14], '4');
		cr_assert_not_null(strchr("89ab", a[19]));
		cr_assert_eq(strspn(a, "0123456789abcdef-"), 36);
		cr_assert_str_neq(a, random_uuid4(b));
	}
}
