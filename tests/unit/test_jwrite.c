/* The writer: commas, escapes, numbers. */
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "json/jdoc.h"

#include "json/jwrite.h"

static struct buf out;
static struct jwrite w;

static void
begin(unsigned int indent)
{
	buf_reset(&out);
	w = jwrite_begin(&out, indent);
}

static void
cleanup(void)
{
	buf_free(&out);
}

TestSuite(jwrite, .fini = cleanup);

static void
write_sample(void)
{
	jwrite_object(&w);
	jwrite_member_text(&w, "s", "x");
	jwrite_member_int(&w, "i", -7);
	jwrite_key(&w, "list");
	jwrite_array(&w);
	jwrite_null(&w);
	jwrite_bool(&w, 1);
	jwrite_bool(&w, 0);
	jwrite_array(&w);
	jwrite_array_end(&w);
	jwrite_object(&w);
	jwrite_object_end(&w);
	jwrite_array_end(&w);
	jwrite_keyn(&w, (struct str){"key and more", 3});
	jwrite_uint(&w, UINT64_MAX);
	jwrite_object_end(&w);
}

Test(jwrite, compact)
{
	begin(0);
	write_sample();
	cr_expect_str_eq(buf_text(&out),
	    "{\"s\":\"x\",\"i\":-7,\"list\":[null,true,false,[],{}],"
	    "\"key\":18446744073709551615}");
}

Test(jwrite, indented)
{
	begin(2);
	write_sample();
	cr_expect_str_eq(buf_text(&out),
	    "{\n  \"s\": \"x\",\n  \"i\": -7,\n  \"list\": [\n    null,\n"
	    "    true,\n    false,\n    [],\n    {}\n  ],\n"
	    "  \"key\": 18446744073709551615\n}");
}

Test(jwrite, appends_to_what_is_there)
{
	begin(0);
	buf_puts(&out, "data: ");
	jwrite_array(&w);
	jwrite_raw(&w, STR("{\"a\":1}"));
	jwrite_raw(&w, STR("2"));
	jwrite_array_end(&w);
	cr_expect_str_eq(buf_text(&out), "data: [{\"a\":1},2]");
}

Test(jwrite, a_lone_value)
{
	begin(4);
	jwrite_int(&w, INT64_MIN);
	cr_expect_str_eq(buf_text(&out), "-9223372036854775808");
	begin(0);
	jwrite_text(&w, "");
	cr_expect_str_eq(buf_text(&out), "\"\"");
}

Test(jwrite, strings_are_escaped)
{
	static const struct {
		const char *in;
		size_t len;
		const char *json;
	} cases[] = {
	    {"", 0, "\"\""},
	    {"abc", 3, "\"abc\""},
	    {"a\0b", 3, "\"a\\u0000b\""},
	    {"\"\\/", 3, "\"\\\"\\\\/\""},
	    {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
	    {"\x01\x1F", 2, "\"\\u0001\\u001f\""},
	    {"\xC3\xA9", 2, "\"\xC3\xA9\""},
	    {"\xF0\x9F\x98\xB9", 4, "\"\xF0\x9F\x98\xB9\""},
	    {"a\xFFz", 3, "\"a\xEF\xBF\xBDz\""},
	    {"\xC3", 1, "\"\xEF\xBF\xBD\""},
	    {"\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
	    {"a text of more than sixteen bytes\nand a line", 44,
		"\"a text of more than sixteen bytes\\nand a line\""},
	};
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		begin(0);
		jwrite_str(&w, (struct str){cases[i].in, cases[i].len});
		cr_expect_str_eq(buf_text(&out), cases[i].json);
	}
}

Test(jwrite, every_byte_gives_valid_json)
{
	struct jdoc doc = {0};
	char text[3];
	unsigned int a, b;

	for (a = 0; a < 256; a++) {
		for (b = 0; b < 256; b++) {
			text[0] = (char)a;
			text[1] = (char)b;
			text[2] = 'x';
			begin(0);
			jwrite_str(&w, (struct str){text, 3});
			cr_assert_eq(
			    jdoc_parse(&doc, out.data, out.len, NULL, NULL), 0,
			    "%02x %02x: %s", a, b, out.data);
			if (a < 0x80 && b < 0x80)
				cr_assert(str_eq(jval_str(jdoc_root(&doc)),
				    (struct str){text, 3}));
		}
	}
	jdoc_free(&doc);
}

Test(jwrite, no_text_is_null)
{
	begin(0);
	jwrite_array(&w);
	jwrite_text(&w, NULL);
	jwrite_str(&w, (struct str){NULL, 0});
	jwrite_str(&w, (struct str){"", 0});
	jwrite_array_end(&w);
	cr_expect_str_eq(buf_text(&out), "[null,null,\"\"]");
}

static const struct {
	double d;
	const char *text;
} reals[] = {
    {0.0, "0.0"},
    {-0.0, "-0.0"},
    {1.0, "1.0"},
    {-1.0, "-1.0"},
    {1.5, "1.5"},
    {0.1, "0.1"},
    {0.2, "0.2"},
    {0.3, "0.3"},
    {0.1 + 0.2, "0.30000000000000004"},
    {100.0, "100.0"},
    {1e15, "1e+15"},
    {123456789012345.0, "123456789012345.0"},
    {1e22, "1e+22"},
    {1e23, "1e+23"},
    {1e100, "1e+100"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {2.2250738585072014e-308, "2.2250738585072014e-308"},
    {5e-324, "5e-324"},
    {1e-7, "1e-07"},
    {9007199254740992.0, "9007199254740992.0"},
    {4505281256063001.0, "4505281256063001.0"},
    {1540845042.374, "1540845042.374"},
    {(double)INFINITY, "null"},
    {-(double)INFINITY, "null"},
    {(double)NAN, "null"},
};

Test(jwrite, reals_are_short_and_stay_reals)
{
	size_t i;

	for (i = 0; i < NELEMS(reals); i++) {
		begin(0);
		jwrite_real(&w, reals[i].d);
		cr_expect_str_eq(buf_text(&out), reals[i].text);
	}
}

Test(jwrite, reals_have_a_point_in_any_locale)
{
	static const char *const names[] = {
	    "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8"};
	size_t i, k;

	/* Where none of them is installed this repeats the test above. */
	for (k = 0; k < NELEMS(names); k++) {
		(void)setlocale(LC_NUMERIC, names[k]);
		for (i = 0; i < NELEMS(reals); i++) {
			begin(0);
			jwrite_real(&w, reals[i].d);
			cr_expect_str_eq(buf_text(&out), reals[i].text);
		}
	}
	(void)setlocale(LC_NUMERIC, "C");
}

Test(jwrite, any_double_reads_back)
{
	struct jdoc doc = {0};
	uint64_t bits = 1;
	double d;
	int i;

	for (i = 0; i < 100000; i++) {
		bits = bits * 6364136223846793005U + 1442695040888963407U;
		memcpy(&d, &bits, sizeof(d));
		if (!isfinite(d))
			continue;
		begin(0);
		jwrite_real(&w, d);
		cr_assert_eq(jdoc_parse(&doc, out.data, out.len, NULL, NULL), 0,
		    "%s", out.data);
		cr_assert_eq(jval_kind(jdoc_root(&doc)), JDOC_REAL);
		cr_assert_eq(memcmp(&jdoc_root(&doc)->v.d, &d, sizeof(d)), 0,
		    "%s", out.data);
	}
	jdoc_free(&doc);
}

Test(jwrite, short_reals_are_as_short_as_the_library_makes_them)
{
	uint64_t seed = 7;
	char want[64];
	double d, power;
	int i, k, digits;

	for (i = 0; i < 100000; i++) {
		seed = seed * 6364136223846793005U + 1442695040888963407U;
		for (power = 1, k = 0; k < (int)(seed >> 60); k++)
			power *= 10;
		d = (double)(seed >> 14 >> (seed >> 40) % 50) / power;
		for (digits = 15; digits <= 17; digits++) {
			(void)snprintf(want, sizeof(want), "%.*g", digits, d);
			if (strtod(want, NULL) == d)
				break;
		}
		if (strpbrk(want, ".e") == NULL)
			strcat(want, ".0");
		begin(0);
		jwrite_real(&w, d);
		cr_assert_str_eq(buf_text(&out), want);
	}
}

Test(jwrite, whole_numbers)
{
	static const int64_t cases[] = {0, 1, -1, 9, 10, 99, 100, 12345, -12345,
	    1000000007, INT64_MAX, INT64_MIN};
	char want[32];
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		begin(0);
		jwrite_int(&w, cases[i]);
		(void)snprintf(want, sizeof(want), "%lld", (long long)cases[i]);
		cr_expect_str_eq(buf_text(&out), want);
	}
}

Test(jwrite, times)
{
	begin(0);
	jwrite_array(&w);
	jwrite_time(&w, 0);
	jwrite_time(&w, 1700000000123);
	jwrite_array_end(&w);
	cr_expect_str_eq(buf_text(&out), "[null,\"2023-11-14T22:13:20.123Z\"]");
}

Test(jwrite, a_parsed_value_with_all_it_holds)
{
	static const char text[] =
	    "{\"a\":[1,-2,3.5,18446744073709551615,-0.0],\"b\":{\"c\":\"\\n\","
	    "\"d\":null},\"e\":true,\"f\":false,\"\":[]}";
	struct jdoc doc = {0};

	cr_assert_eq(jdoc_parse(&doc, text, sizeof(text) - 1, NULL, NULL), 0);
	begin(0);
	jwrite_jval(&w, jdoc_root(&doc));
	cr_expect_str_eq(buf_text(&out), text);
	jdoc_free(&doc);
}
