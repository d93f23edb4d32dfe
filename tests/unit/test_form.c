#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/form.h"

Test(form, encodes_all_but_unreserved_characters)
{
	struct buf out = BUF_INIT;

	form_encode(&out, (struct str){"aZ09-._~ +&=%/\0\xc3\xa9", 16});
	cr_expect_str_eq(buf_text(&out), "aZ09-._~%20%2B%26%3D%25%2F%00%C3");
	buf_free(&out);
}

Test(form, puts_fields_behind_each_other)
{
	struct buf out = BUF_INIT;

	form_put(&out, "a", "1 2");
	form_put(&out, "left out", NULL);
	form_put(&out, "b&", "");
	cr_expect_str_eq(buf_text(&out), "a=1%202&b%26=");
	buf_reset(&out);
	buf_puts(&out, "http://x/?");
	form_put(&out, "a", "1");
	form_put(&out, "b", "2");
	cr_expect_str_eq(buf_text(&out), "http://x/?a=1&b=2");
	buf_free(&out);
}

Test(form, takes_fields_off)
{
	struct str form = STR("&a=1+2%20&&b&c==&");
	struct buf name = BUF_INIT, value = BUF_INIT;

	cr_assert_eq(form_next(&form, &name, &value), 1);
	cr_expect_str_eq(buf_text(&name), "a");
	cr_expect_str_eq(buf_text(&value), "1 2 ");
	cr_assert_eq(form_next(&form, &name, &value), 1);
	cr_expect_str_eq(buf_text(&name), "b");
	cr_expect_str_eq(buf_text(&value), "");
	cr_assert_eq(form_next(&form, &name, &value), 1);
	cr_expect_str_eq(buf_text(&name), "c");
	cr_expect_str_eq(buf_text(&value), "=");
	cr_expect_eq(form_next(&form, &name, &value), 0);
	buf_free(&name);
	buf_free(&value);
}

Test(form, refuses_what_is_malformed)
{
	static const char *const bad[] = {
	    "a=%", "a=%1", "a=%1g", "%zz=1", "a=%00"};
	struct buf name = BUF_INIT, value = BUF_INIT;
	struct str form;
	size_t i;

	for (i = 0; i < NELEMS(bad); i++) {
		form = str_of(bad[i]);
		cr_expect_eq(form_next(&form, &name, &value), -1, "%s", bad[i]);
	}
	buf_free(&name);
	buf_free(&value);
}

Test(form, gets_the_first_field_of_a_name)
{
	char *found = form_get(STR("a=1&b=x%3Dy&b=2&c=%"), "b");

	cr_expect_str_eq(found, "x=y");
	free(found);
	cr_expect_null(form_get(STR("a=1&b=2"), "c"));
	cr_expect_null(form_get(STR("a=%&b=2"), "b"));
	found = form_get(STR("a"), "a");
	cr_expect_str_eq(found, "");
	free(found);
	cr_expect_null(form_get((struct str){NULL, 0}, "a"));
}

Test(form, decodes_what_it_encoded)
{
	char all[255];
	struct buf out = BUF_INIT, back = BUF_INIT;
	size_t i;

	for (i = 0; i < sizeof(all); i++)
		all[i] = (char)(i + 1);
	form_encode(&out, (struct str){all, sizeof(all)});
	cr_assert_eq(form_decode((struct str){out.data, out.len}, 1, &back), 0);
	cr_expect_eq(back.len, sizeof(all));
	cr_expect_arr_eq(back.data, all, sizeof(all));
	buf_free(&out);
	buf_free(&back);
}
