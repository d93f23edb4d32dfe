/* The parser: what it takes, what it refuses and where, what it says. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "json/jwrite.h"

#include "json/jdoc.h"

/* Text that may hold a NUL. */
#define T(literal) literal, sizeof(literal) - 1

struct good {
	const char *text;
	size_t len;
};

struct bad {
	const char *text;
	size_t len;
	size_t offset; /* Of the first byte out of place. */
};

/* Parse a copy of exactly ${len} bytes, so that ASan sees a read behind it. */
static int
parse(struct jdoc *doc, char **copy, const char *text, size_t len,
    size_t *offset, struct err *err)
{
	*copy = malloc(len == 0 ? 1 : len);
	if (len > 0)
		memcpy(*copy, text, len);
	return jdoc_parse(doc, *copy, len, offset, err);
}

static void
refuse(const char *text, size_t len, size_t offset, enum err_code code)
{
	struct jdoc doc = {0};
	struct err err = ERR_INIT;
	size_t got = SIZE_MAX;
	char *copy;

	cr_expect_eq(parse(&doc, &copy, text, len, &got, &err), -1,
	    "was taken: %.60s", text);
	cr_expect_eq(got, offset, "%.60s: at %zu, not at %zu (%s)", text, got,
	    offset, err.msg);
	cr_expect_eq(err.code, code, "%.60s: %s", text, err.msg);
	cr_expect_neq(err.msg[0], '\0');
	cr_expect_eq(doc.tape_len, 0);
	jdoc_free(&doc);
	free(copy);
}

/* What one document is parsed into, for a look at its root. */
static struct jdoc one;

static const struct jval *
root_of(const char *text)
{
	struct err err = ERR_INIT;

	cr_assert_eq(jdoc_parse(&one, text, strlen(text), NULL, &err), 0,
	    "%s: %s", text, err.msg);
	return jdoc_root(&one);
}

static void
cleanup(void)
{
	jdoc_free(&one);
}

TestSuite(jdoc, .fini = cleanup);

static const struct good goods[] = {
    /* Structure. */
    {T("[]")},
    {T("{}")},
    {T("[[]]")},
    {T("[[],[[]],{}]")},
    {T("[{}]")},
    {T("{\"\":{}}")},
    {T("{\"a\":[]}")},
    {T("{\"a\":{\"b\":{\"c\":[1,{\"d\":null}]}}}")},
    {T("{\"a\":1,\"b\":2}")},
    {T("{\"a\":1,\"a\":2}")},
    {T("{\"a\":1,\"a\":1}")},
    {T("{\"\":0}")},
    {T("{\"a\\u0000b\":1}")},
    {T("{\"min\":-1.0e+28,\"max\":1.0e+28}")},
    {T("[null,1,\"1\",{}]")},
    {T("[1,null,null,null,2]")},
    {T("[false,true,null]")},
    {T("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23]")},
    /* Any value may be outermost. */
    {T("null")},
    {T("true")},
    {T("false")},
    {T("0")},
    {T("-0")},
    {T("42")},
    {T("-0.1")},
    {T("\"\"")},
    {T("\"asd\"")},
    {T("\" \"")},
    /* White space. */
    {T(" [] ")},
    {T("\t\n\r []\t\n\r ")},
    {T("[ ]")},
    {T("{ }")},
    {T("[ 1 , 2 ]")},
    {T("{ \"a\" : 1 , \"b\" : 2 }")},
    {T("{\r\n\t\"a\"\r\n\t:\r\n\t1\r\n}\r\n")},
    {T("\n1")},
    {T("                                        1                    ")},
    {T("[\n                    \"deep\",\n                    1\n]")},
    /* Numbers. */
    {T("[-0]")},
    {T("[-0.0]")},
    {T("[-1]")},
    {T("[0e1]")},
    {T("[0E1]")},
    {T("[0e+1]")},
    {T("[0e-1]")},
    {T("[1e1]")},
    {T("[1E1]")},
    {T("[1E+2]")},
    {T("[1E-2]")},
    {T("[1e00002]")},
    {T("[1.5]")},
    {T("[0.0]")},
    {T("[0.000001]")},
    {T("[123.456e78]")},
    {T("[123e65]")},
    {T("[1e-400]")},
    {T("[123e-10000000]")},
    {T("[0e999999999999999999999]")},
    {T("[9223372036854775807]")},
    {T("[9223372036854775808]")},
    {T("[18446744073709551615]")},
    {T("[18446744073709551616]")},
    {T("[-9223372036854775808]")},
    {T("[-9223372036854775809]")},
    {T("[100000000000000000000000000000000000000000000000000000000000]")},
    {T("[0.1000000000000000055511151231257827021181583404541015625]")},
    {T("[-0.00000000000000000000000000000000000000000000000000000000000000001"
       "]")},
    {T("[1.7976931348623157e308]")},
    {T("[1.7976931348623158e308]")},
    {T("[5e-324]")},
    /* Strings. */
    {T("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]")},
    {T("[\"\\u0012\"]")},
    {T("[\"\\uFFFF\"]")},
    {T("[\"\\uffff\"]")},
    {T("[\"\\u0000\"]")},
    {T("[\"\\u002c\"]")},
    {T("[\"\\u0022\"]")},
    {T("[\"\\u005C\"]")},
    {T("[\"\\\\u0000\"]")},
    {T("[\"\\\\a\"]")},
    {T("[\"\\uD801\\udc37\"]")},
    {T("[\"\\ud83d\\ude39\\ud83d\\udc8d\"]")},
    {T("[\"\\uDBFF\\uDFFF\"]")},
    {T("[\"\\uDBFF\\uDFFE\"]")},
    {T("[\"\\uD800\\uDC00\"]")},
    {T("[\"\\uD7FF\\uE000\"]")},
    {T("[\"\\uFDD0\\uFFFE\"]")},
    {T("[\"\\u0821\\u0123\\u00e9\\u0061\"]")},
    {T("[\"a/*b*/c/*d//e\"]")},
    {T("[\"\x7F\"]")},
    {T("[\"a\x7F"
       "a\"]")},
    {T("[\"'\"]")},
    {T("[\"\xC2\x80\"]")},
    {T("[\"\xDF\xBF\"]")},
    {T("[\"\xE0\xA0\x80\"]")},
    {T("[\"\xED\x9F\xBF\"]")},
    {T("[\"\xEE\x80\x80\"]")},
    {T("[\"\xEF\xBF\xBF\"]")},
    {T("[\"\xEF\xBB\xBF\"]")},
    {T("[\"\xF0\x90\x80\x80\"]")},
    {T("[\"\xF4\x8F\xBF\xBF\"]")},
    {T("[\"\xE2\x80\xA8\xE2\x80\xA9\"]")},
    {T("{\"\xC3\xA9\":\"\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E, ja\"}")},
    {T("\"fifteen bytes..\"")},
    {T("\"sixteen bytes...\"")},
    {T("\"seventeen bytes..\"")},
    {T("\"more than sixteen bytes and then \\n an escape, and much more\"")},
};

Test(jdoc, takes_what_is_json)
{
	struct jdoc doc = {0};
	struct err err = ERR_INIT;
	char *copy;
	size_t i;

	for (i = 0; i < NELEMS(goods); i++) {
		cr_expect_eq(
		    parse(&doc, &copy, goods[i].text, goods[i].len, NULL, &err),
		    0, "%s: %s", goods[i].text, err.msg);
		cr_expect_gt(doc.tape_len, 0);
		free(copy);
	}
	jdoc_free(&doc);
}

static const struct bad bads[] = {
    /* Nothing there. */
    {T(""), 0},
    {T(" "), 1},
    {T("\n\t\r "), 4},
    /* Not closed, not opened, mixed up. */
    {T("["), 1},
    {T("[1"), 2},
    {T("[1,"), 3},
    {T("[["), 2},
    {T("[\"a"), 3},
    {T("[\"a\","), 5},
    {T("[{"), 2},
    {T("{"), 1},
    {T("{\"a"), 3},
    {T("{\"a\""), 4},
    {T("{\"a\":"), 5},
    {T("{\"a\":1"), 6},
    {T("{\"a\":1,"), 7},
    {T("{\"a\":1,\"b"), 9},
    {T("]"), 0},
    {T("}"), 0},
    {T("[1}"), 2},
    {T("{\"a\":1]"), 6},
    {T("[}"), 1},
    {T("{]"), 1},
    {T("[]]"), 2},
    {T("[1]]"), 3},
    {T("{}}"), 2},
    {T("[[]"), 3},
    {T("[\"x\"]]"), 5},
    {T("[{]"), 2},
    {T("[[[[[[[[[[1]]]]]]]]]"), 20},
    /* Text behind the value. */
    {T("1 2"), 2},
    {T("1,"), 1},
    {T("null x"), 5},
    {T("[] []"), 3},
    {T("{} \"a\""), 3},
    {T("[1]x"), 3},
    {T("\"a\" \"b\""), 4},
    {T("\"a\"b"), 3},
    {T("[]\0"), 2},
    {T("[]#"), 2},
    {T("truefalse"), 4},
    {T("{\"a\":\"b\"}/**/"), 9},
    {T("{\"a\":\"b\"}//"), 9},
    /* Commas and colons. */
    {T("[,]"), 1},
    {T("[1,]"), 3},
    {T("[1,,2]"), 3},
    {T("[,1]"), 1},
    {T("[1,,]"), 3},
    {T("[\"\",]"), 4},
    {T("[1 2]"), 3},
    {T("[1:2]"), 2},
    {T("[\"a\":1]"), 4},
    {T("[3[4]]"), 2},
    {T("{,}"), 1},
    {T("{\"a\":1,}"), 7},
    {T("{\"a\":1,,\"b\":2}"), 7},
    {T("{\"a\" 1}"), 5},
    {T("{\"a\",1}"), 4},
    {T("{\"a\"::1}"), 5},
    {T("{\"a\":}"), 5},
    {T("{\"a\"}"), 4},
    {T("{\"a\":1 \"b\":2}"), 7},
    {T("{:1}"), 1},
    {T("{\"a\":1:2}"), 6},
    {T("{\"a\":\"b\",\"c\"}"), 12},
    {T("{\"a\" \"b\"}"), 5},
    /* Keys are strings in double quotes. */
    {T("{a:1}"), 1},
    {T("{1:1}"), 1},
    {T("{null:1}"), 1},
    {T("{'a':1}"), 1},
    {T("{[]:1}"), 1},
    {T("{{}:1}"), 1},
    {T("{\"a\":1,b:2}"), 7},
    {T("{9999E9999:1}"), 1},
    /* Words. */
    {T("nul"), 3},
    {T("n"), 1},
    {T("nulx"), 3},
    {T("nulll"), 4},
    {T("Null"), 0},
    {T("NULL"), 0},
    {T("tru"), 3},
    {T("trUe"), 2},
    {T("True"), 0},
    {T("fals"), 4},
    {T("falsy"), 4},
    {T("[nul]"), 4},
    {T("[tru]"), 4},
    {T("[fals]"), 5},
    {T("undefined"), 0},
    {T("[None]"), 1},
    {T("*"), 0},
    {T("<html>"), 0},
    {T("\\"), 0},
    {T("a\0"), 0},
    {T("\0"), 0},
    {T("[\0]"), 1},
    {T("\xE2\x81\xA0"), 0},
    {T("[\xC2\xA0]"), 1},
    {T("[\x0C]"), 1},
    {T("[\x0B"
       "1]"),
	1},
    {T("\xE5"), 0},
    {T("[\xE5]"), 1},
    /* A byte order mark. */
    {T("\xEF\xBB\xBF[]"), 0},
    {T("\xEF\xBB\xBF"), 0},
    {T("\xEF\xBB{}"), 0},
    {T("\xFE\xFF\0["), 0},
    {T("\xFF\xFE[\0"), 0},
    {T("[]\xEF\xBB\xBF"), 2},
    /* Numbers. */
    {T("01"), 1},
    {T("-01"), 2},
    {T("00"), 1},
    {T("[012]"), 2},
    {T("[-012]"), 3},
    {T("+1"), 0},
    {T("[+1]"), 1},
    {T("++1"), 0},
    {T("[+Inf]"), 1},
    {T("-"), 1},
    {T("[-]"), 2},
    {T("--1"), 1},
    {T("- 1"), 1},
    {T("-a"), 1},
    {T("-foo"), 1},
    {T("-.5"), 1},
    {T(".5"), 0},
    {T("[.2e-3]"), 1},
    {T("[.-1]"), 1},
    {T("1."), 2},
    {T("[1.]"), 3},
    {T("[-2.]"), 4},
    {T("[0.e1]"), 3},
    {T("[2.e3]"), 3},
    {T("[2.e+3]"), 3},
    {T("[2.e-3]"), 3},
    {T("[0.1.2]"), 4},
    {T("1e"), 2},
    {T("1e+"), 3},
    {T("1e-"), 3},
    {T("1E"), 2},
    {T("[1e]"), 3},
    {T("[1e+]"), 4},
    {T("[1.0e-]"), 6},
    {T("[1eE2]"), 3},
    {T("[1e1.5]"), 4},
    {T("[9.e+]"), 3},
    {T("[0e]"), 3},
    {T("[0E+]"), 4},
    {T("[1+2]"), 2},
    {T("[1 000.0]"), 3},
    {T("0x10"), 1},
    {T("[0x42]"), 2},
    {T("[0x1]"), 2},
    {T("1_000"), 1},
    {T("1a"), 1},
    {T("[1a]"), 2},
    {T("[1.8011670033376514H-308]"), 19},
    {T("[1.2a-3]"), 4},
    {T("[-1x]"), 3},
    {T("[-123foo]"), 5},
    {T("[\xEF\xBC\x91]"), 1},
    {T("[123\xE5]"), 4},
    {T("NaN"), 0},
    {T("[NaN]"), 1},
    {T("[-NaN]"), 2},
    {T("nan"), 1},
    {T("Infinity"), 0},
    {T("[Infinity]"), 1},
    {T("[-Infinity]"), 2},
    {T("[Inf]"), 1},
    {T("[1e999]"), 1},
    {T("-1e999"), 0},
    {T("[0,1.8e308]"), 3},
    {T("[123123e100000]"), 1},
    {T("[1.5e+9999]"), 1},
    {T("[1e99999999999999999999]"), 1},
    {T("[1.7976931348623159e308]"), 1},
    /* Strings. */
    {T("\""), 1},
    {T("\"abc"), 4},
    {T("\"sixteen bytes and more, and no quote"), 37},
    {T("'a'"), 0},
    {T("['a']"), 1},
    {T("[\"a"), 3},
    {T("[a"), 1},
    {T("abc"), 0},
    {T("\"\\"), 2},
    {T("\"\\\""), 3},
    {T("\"\\\\\\\""), 5},
    {T("[\"\\\\\\\"]"), 7},
    {T("\"\\a\""), 2},
    {T("\"\\x00\""), 2},
    {T("\"\\0\""), 2},
    {T("\"\\'\""), 2},
    {T("\"\\U0041\""), 2},
    {T("\"\\\0\""), 2},
    {T("\"\\\n\""), 2},
    {T("\"\\\t\""), 2},
    {T("\"\\\xC3\xA9\""), 2},
    {T("\"\\\xF0\x9F\x8C\x80\""), 2},
    {T("\"\\u\""), 3},
    {T("\"\\u1\""), 4},
    {T("\"\\u00\""), 5},
    {T("\"\\u00A\""), 6},
    {T("\"\\u00A"), 6},
    {T("\"\\u00AG\""), 6},
    {T("\"\\u12\xC3\xA9\""), 5},
    {T("\"\\u-123\""), 3},
    {T("\"\\u+123\""), 3},
    {T("\"\\u 123\""), 3},
    {T("\"\\u{41}\""), 3},
    {T("[\\u0020\"asd\"]"), 1},
    {T("[\"a\0a\"]"), 3},
    {T("\"\0\""), 1},
    {T("\"a\nb\""), 2},
    {T("\"\n\""), 1},
    {T("\"\t\""), 1},
    {T("\"\x1F\""), 1},
    {T("\"\x1B[0m\""), 1},
    {T("\"plain text, then a raw\nnew line\""), 23},
    {T("\"\\n and then raw\n\""), 16},
    {T("{\"a\nb\":1}"), 3},
    /* Surrogates in escapes. */
    {T("\"\\uD800\""), 1},
    {T("\"\\uDBFF\""), 1},
    {T("\"\\uDC00\""), 1},
    {T("\"\\uDFFF\""), 1},
    {T("\"ab\\uD800cd\""), 3},
    {T("\"\\uD800\\n\""), 1},
    {T("\"\\uD800\\u\""), 9},
    {T("\"\\uD800\\u1\""), 10},
    {T("\"\\uD800\\u1x\""), 10},
    {T("\"\\uD800\\u0041\""), 1},
    {T("\"\\uD800\\uD800\""), 1},
    {T("\"\\uD800\\uD800\\uDC00\""), 1},
    {T("\"\\uDC00\\uD800\""), 1},
    {T("\"\\uD800\\uDC00\\uDC00\""), 13},
    {T("\"\\uD800\\"), 1},
    {T("\"\\uD800"), 1},
    {T("\"\\uDd1e\\uD834\""), 1},
    {T("\"\\uD888\\u1234\""), 1},
    {T("{\"\\uD800\":1}"), 2},
    /* Bytes that are not UTF-8. */
    {T("\"\x80\""), 1},
    {T("\"\xBF\""), 1},
    {T("\"\xC0\x80\""), 1},
    {T("\"\xC1\xBF\""), 1},
    {T("\"\xC3\""), 1},
    {T("\"\xC3("), 1},
    {T("\"\xC3"), 1},
    {T("\"\xE0\x80\x80\""), 1},
    {T("\"\xE0\x9F\xBF\""), 1},
    {T("\"\xE2\x82\""), 1},
    {T("\"\xE2\x82"), 1},
    {T("\"\xE2(\xA1\""), 1},
    {T("\"\xED\xA0\x80\""), 1},
    {T("\"\xED\xBF\xBF\""), 1},
    {T("\"\xED\xA0\x81\xED\xB0\xB7\""), 1},
    {T("\"\xF0\x80\x80\x80\""), 1},
    {T("\"\xF0\x8F\xBF\xBF\""), 1},
    {T("\"\xF0\x9F\x98\""), 1},
    {T("\"\xF0\x9F\x98"), 1},
    {T("\"\xF4\x90\x80\x80\""), 1},
    {T("\"\xF5\x80\x80\x80\""), 1},
    {T("\"\xF8\x88\x80\x80\x80\""), 1},
    {T("\"\xFC\x84\x80\x80\x80\x80\""), 1},
    {T("\"\xFE\""), 1},
    {T("\"\xFF\""), 1},
    {T("\"\xC3\xA9\xE9\""), 3},
    {T("\"\xE6\x97\xA5\xD1\x88\xFA\""), 6},
    {T("\"good and long ASCII text, \xC3\xA9, and then \xE9t\xE9\""), 40},
    {T("\"\\n\xE9\""), 3},
    {T("{\"\xE9\":1}"), 2},
    /* Comments and other dialects. */
    {T("/**/1"), 0},
    {T("// a\n1"), 0},
    {T("[1/**/]"), 2},
    {T("[1 // a\n]"), 3},
    {T("# a\n1"), 0},
    {T("{\"a\":/**/1}"), 5},
    {T("{\"a\":TRUE}"), 5},
    {T("[1;2]"), 2},
    {T("(1)"), 0},
    {T("`a`"), 0},
    {T("[1,\n2\n,3,"), 9},
    {T("\xE2\x80\x9C"
       "a\xE2\x80\x9D"),
	0},
};

Test(jdoc, refuses_what_is_not_json_and_says_where)
{
	size_t i;

	for (i = 0; i < NELEMS(bads); i++)
		refuse(bads[i].text, bads[i].len, bads[i].offset, ERR_INVALID);
}

Test(jdoc, refuses_every_beginning_of_a_text)
{
	static const char text[] =
	    "{\"a\\u00e9\\ud83d\\ude39\":[1.5e3,-12,true,{\"\xC3\xA9\":null}]}";
	struct jdoc doc = {0};
	char *copy;
	size_t len, at;

	for (len = 0; len < sizeof(text) - 1; len++) {
		at = SIZE_MAX;
		cr_expect_eq(parse(&doc, &copy, text, len, &at, NULL), -1,
		    "%zu bytes", len);
		cr_expect_leq(at, len);
		free(copy);
	}
	cr_expect_eq(parse(&doc, &copy, text, len, NULL, NULL), 0);
	free(copy);
	jdoc_free(&doc);
}

Test(jdoc, messages_name_what_was_found)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
	    {"[1,]", "unexpected ] at byte 3, where a value is expected"},
	    {"[\x01]",
		"unexpected byte 0x01 at byte 1, where a value is expected"},
	    {"[1", "the text ends at byte 2, where ',' or ']' is expected"},
	    {"{a", "unexpected a at byte 1, where a key in double quotes is "
		   "expected"},
	    {"1e999", "a number out of range at byte 0"},
	    {"\"\\ud800\"", "a lone surrogate at byte 1"},
	    {"\"\xFF\"", "not UTF-8 at byte 1"},
	    {"\xEF\xBB\xBF{}", "a byte order mark at byte 0"},
	    {"\"\n\"", "a control character that is not escaped at byte 1"},
	};
	struct jdoc doc = {0};
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		cr_expect_eq(jdoc_parse(&doc, cases[i].text,
				 strlen(cases[i].text), NULL, &err),
		    -1);
		cr_expect_str_eq(err.msg, cases[i].message);
	}
	jdoc_free(&doc);
}

Test(jdoc, a_text_of_no_bytes_may_be_null)
{
	struct jdoc doc = {0};
	struct err err = ERR_INIT;
	size_t at = 7;

	cr_expect_eq(jdoc_parse(&doc, NULL, 0, &at, &err), -1);
	cr_expect_eq(at, 0);
	jdoc_free(&doc);
}

Test(jdoc, nesting_of_512_is_taken_and_513_refused)
{
	static const struct {
		const char *open, *close;
	} kinds[] = {{"[", "]"}, {"{\"a\":", "}"}};
	struct jdoc doc = {0};
	struct buf text = BUF_INIT;
	size_t k, i, n;

	for (k = 0; k < 2; k++) {
		for (n = JDOC_MAX_DEPTH; n <= JDOC_MAX_DEPTH + 1; n++) {
			buf_reset(&text);
			for (i = 0; i < n; i++)
				buf_puts(&text, kinds[k].open);
			buf_puts(&text, "1");
			for (i = 0; i < n; i++)
				buf_puts(&text, kinds[k].close);
			if (n == JDOC_MAX_DEPTH)
				cr_expect_eq(jdoc_parse(&doc, text.data,
						 text.len, NULL, NULL),
				    0);
			else
				refuse(text.data, text.len,
				    JDOC_MAX_DEPTH * strlen(kinds[k].open),
				    ERR_TOO_LARGE);
		}
	}
	jdoc_free(&doc);
	buf_free(&text);
}

Test(jdoc, siblings_do_not_add_to_the_nesting)
{
	struct jdoc doc = {0};
	struct buf text = BUF_INIT;
	int i;

	buf_putc(&text, '[');
	for (i = 0; i < 5000; i++)
		buf_puts(&text, "[[]],");
	buf_puts(&text, "{}]");
	cr_expect_eq(jdoc_parse(&doc, text.data, text.len, NULL, NULL), 0);
	cr_expect_eq(jdoc_root(&doc)->len, 5001);
	cr_expect_eq(doc.tape_len, 10002);
	jdoc_free(&doc);
	buf_free(&text);
}

Test(jdoc, a_hundred_thousand_brackets_are_no_harm)
{
	static char text[100000];

	memset(text, '[', sizeof(text));
	refuse(text, sizeof(text), JDOC_MAX_DEPTH, ERR_TOO_LARGE);
}

Test(jdoc, refuses_text_beyond_the_limit_unread)
{
	struct jdoc doc = {0};
	struct err err = ERR_INIT;
	size_t at = 0;

	cr_expect_eq(
	    jdoc_parse(&doc, "[]", (size_t)JDOC_MAX_TEXT + 1, &at, &err), -1);
	cr_expect_eq(err.code, ERR_TOO_LARGE);
	cr_expect_eq(at, JDOC_MAX_TEXT);
	jdoc_free(&doc);
}

Test(jdoc, whole_numbers_are_exact_to_64_bits)
{
	static const struct {
		const char *text;
		enum jdoc_kind kind;
		uint64_t bits;
	} cases[] = {
	    {"0", JDOC_INT, 0},
	    {"7", JDOC_INT, 7},
	    {"-1", JDOC_INT, (uint64_t)-1},
	    {"1686041011364000000", JDOC_INT, 1686041011364000000},
	    {"4505281256063001", JDOC_INT, 4505281256063001},
	    {"9007199254740993", JDOC_INT, 9007199254740993},
	    {"999999999999999999", JDOC_INT, 999999999999999999},
	    {"9223372036854775806", JDOC_INT, 9223372036854775806},
	    {"9223372036854775807", JDOC_INT, INT64_MAX},
	    {"-9223372036854775807", JDOC_INT, (uint64_t)-INT64_MAX},
	    {"-9223372036854775808", JDOC_INT, (uint64_t)INT64_MIN},
	    {"9223372036854775808", JDOC_UINT, (uint64_t)INT64_MAX + 1},
	    {"9999999999999999999", JDOC_UINT, 9999999999999999999U},
	    {"10000000000000000000", JDOC_UINT, 10000000000000000000U},
	    {"18446744073709551614", JDOC_UINT, UINT64_MAX - 1},
	    {"18446744073709551615", JDOC_UINT, UINT64_MAX},
	};
	const struct jval *v;
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		v = root_of(cases[i].text);
		cr_expect_eq(jval_kind(v), cases[i].kind, "%s", cases[i].text);
		cr_expect_eq(v->v.u, cases[i].bits, "%s", cases[i].text);
		cr_expect(jval_is_number(v));
	}
}

/* Those beside "1.0", "-0.0", ... are strtod()'s, read in the C locale. */
Test(jdoc, other_numbers_are_doubles_rounded_correctly)
{
	static const char *const cases[] = {"0.0", "-0.0", "1.0", "1e0", "1E2",
	    "0.1", "0.2", "0.3", "-1.5", "3.141592653589793", "1e22", "1e23",
	    "1e-22", "1e-23", "123456789012345678e-5", "1540845042.374",
	    "18446744073709551616", "18446744073709551617",
	    "20000000000000000000", "99999999999999999999",
	    "184467440737095516150", "-9223372036854775809",
	    "-18446744073709551615", "-99999999999999999999",
	    "9007199254740993.0", "9007199254740992.0", "9007199254740991e22",
	    "9007199254740993e-22", "1.7976931348623157e308",
	    "1.7976931348623158e308", "2.2250738585072011e-308",
	    "2.2250738585072014e-308", "5e-324", "4.9e-324",
	    "2.4703282292062327e-324", "2.4703282292062328e-324", "1e-400",
	    "0e999", "-0e999", "0.0e-999", "1e-99999999999999999999",
	    "0.000000000000000000000000000000000000000000000001",
	    "100000000000000000000000000000000000000000000.5e-44",
	    "0.1000000000000000055511151231257827021181583404541015625",
	    "0.1000000000000000055511151231257827021181583404541015626",
	    "1.00000000000000011102230246251565404236316680908203125",
	    "1.00000000000000011102230246251565404236316680908203126",
	    "1.00000000000000011102230246251565404236316680908203124",
	    "179769313486231580793728971405303415079934132710037826936173778980"
	    "444968292764750946649017977587207096330286416692887910946555547851"
	    "940402630657488671505820681908902000708383676273854845817711531764"
	    "475730270069855571366959622842914819860834936475292719074168444365"
	    "510704342711559699508093042880e0",
	    "8.5e-7", "1.1e1", "123.456e-2", "1e5", "1e+5", "1e05"};
	const struct jval *v;
	double want;
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		want = strtod(cases[i], NULL);
		v = root_of(cases[i]);
		cr_expect_eq(jval_kind(v), JDOC_REAL, "%s", cases[i]);
		cr_expect_eq(memcmp(&v->v.d, &want, sizeof(want)), 0,
		    "%s: %.17g is not %.17g", cases[i], v->v.d, want);
	}
}

Test(jdoc, generated_numbers_are_those_of_strtod)
{
	uint64_t seed = 42;
	const struct jval *v;
	char text[64];
	double want;
	int i;

	for (i = 0; i < 200000; i++) {
		seed = seed * 6364136223846793005U + 1442695040888963407U;
		(void)snprintf(text, sizeof(text), "%s%llu.%llue%d",
		    seed >> 63 ? "-" : "",
		    (unsigned long long)(seed >> (20 + seed % 40)),
		    (unsigned long long)(seed % 100000),
		    (int)(seed >> 40) % 640 - 320);
		want = strtod(text, NULL);
		if (isinf(want))
			continue;
		v = root_of(text);
		cr_assert_eq(
		    memcmp(&v->v.d, &want, sizeof(want)), 0, "%s", text);
	}
}

Test(jdoc, minus_zero_stays_minus_zero)
{
	const struct jval *v = root_of("-0");

	cr_expect_eq(jval_kind(v), JDOC_REAL);
	cr_expect(signbit(v->v.d));
	cr_expect_not(signbit(jval_double(root_of("0"))));
	cr_expect(signbit(jval_double(root_of("-0.0e5"))));
}

Test(jdoc, a_number_of_many_digits_is_read_whole)
{
	struct buf text = BUF_INIT;
	struct jdoc doc = {0};
	int i;

	/* 1.000...0001 and 0.000...0001 with an exponent that makes it 1. */
	buf_puts(&text, "[1.");
	for (i = 0; i < 100000; i++)
		buf_putc(&text, '0');
	buf_puts(&text, "1,0.");
	for (i = 0; i < 100000; i++)
		buf_putc(&text, '0');
	buf_puts(&text, "1e100001,1");
	for (i = 0; i < 300; i++)
		buf_putc(&text, '0');
	buf_puts(&text, "]");
	cr_assert_eq(jdoc_parse(&doc, text.data, text.len, NULL, NULL), 0);
	cr_expect_eq(jdoc_at(jdoc_root(&doc), 0)->v.d, 1.0);
	cr_expect_eq(jdoc_at(jdoc_root(&doc), 1)->v.d, 1.0);
	cr_expect_eq(jdoc_at(jdoc_root(&doc), 2)->v.d, 1e300);
	jdoc_free(&doc);
	buf_free(&text);
}

Test(jdoc, strings_are_unescaped_to_utf8)
{
	static const struct {
		const char *text;
		const char *bytes;
		size_t len;
	} cases[] = {
	    {"\"\"", T("")},
	    {"\"abc\"", T("abc")},
	    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", T("\"\\/\b\f\n\r\t")},
	    {"\"a\\u0000b\"", T("a\0b")},
	    {"\"\\u0041\\u007f\"", T("A\x7F")},
	    {"\"\\u0080\\u07FF\"", T("\xC2\x80\xDF\xBF")},
	    {"\"\\u0800\\uffff\"", T("\xE0\xA0\x80\xEF\xBF\xBF")},
	    {"\"\\uD7ff\\uE000\"", T("\xED\x9F\xBF\xEE\x80\x80")},
	    {"\"\\uD800\\uDC00\"", T("\xF0\x90\x80\x80")},
	    {"\"\\uDBFF\\uDFFF\"", T("\xF4\x8F\xBF\xBF")},
	    {"\"\\ud83d\\ude39!\"", T("\xF0\x9F\x98\xB9!")},
	    {"\"\xC3\xA9\\n\xC3\xA9\"", T("\xC3\xA9\n\xC3\xA9")},
	    {"\"a long text before the\\tescape and one behind it, \\\\ \"",
		T("a long text before the\tescape and one behind it, \\ ")},
	    {"\"\\n\xE6\x97\xA5\xE6\x9C\xAC, a mix of many things \\u00e9\"",
		T("\n\xE6\x97\xA5\xE6\x9C\xAC, a mix of many things \xC3\xA9")},
	};
	struct str s;
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		s = jval_str(root_of(cases[i].text));
		cr_expect(str_eq(s, (struct str){cases[i].bytes, cases[i].len}),
		    "%s", cases[i].text);
	}
}

Test(jdoc, every_escape_of_the_basic_plane_is_right)
{
	char text[16];
	struct str s;
	unsigned int c;

	for (c = 0; c < 0x10000; c++) {
		if (c >= 0xD800 && c <= 0xDFFF)
			continue;
		(void)snprintf(text, sizeof(text),
		    c % 2 ? "\"\\u%04x\"" : "\"\\u%04X\"", c);
		s = jval_str(root_of(text));
		cr_assert_eq(s.len, c < 0x80 ? 1 : c < 0x800 ? 2 : 3);
		cr_assert_eq(str_utf8_len(s.data, s.len), s.len);
	}
}

/* A special byte at every place of a string, of every length around 16. */
Test(jdoc, no_byte_of_a_long_string_is_overlooked)
{
	static const struct {
		const char *text;
		int ok;
	} specials[] = {{"\\n", 1}, {"\xC3\xA9", 1}, {"\x01", 0}, {"\x1F", 0},
	    {"\xFF", 0}, {"\\q", 0}, {"\xC3", 0}};
	struct jdoc doc = {0};
	char text[80], *copy;
	size_t len, at, k, n, got;
	int rc;

	for (len = 0; len < 40; len++) {
		for (at = 0; at <= len; at++) {
			for (k = 0; k < NELEMS(specials); k++) {
				n = strlen(specials[k].text);
				memset(text, 'x', sizeof(text));
				text[0] = '"';
				memcpy(text + 1 + at, specials[k].text, n);
				text[1 + len + n] = '"';
				rc = parse(
				    &doc, &copy, text, len + n + 2, &got, NULL);
				cr_assert_eq(rc, specials[k].ok ? 0 : -1);
				if (rc == -1)
					cr_assert_eq(got,
					    1 + at +
						(specials[k].text[0] == '\\'));
				free(copy);
			}
		}
	}
	jdoc_free(&doc);
}

/* Which bytes are UTF-8 is asked of str_utf8_len(), by all 3-byte texts. */
Test(jdoc, utf8_is_what_base_says_it_is)
{
	struct jdoc doc = {0};
	char text[6] = {'"', 0, 0, 0, '"', 0};
	unsigned int a, b, c;
	size_t n, i;
	int want;

	for (a = 0x80; a < 0x100; a++) {
		for (b = 0x7E; b < 0x100; b++) {
			for (c = 0x7E; c < 0x100; c += 0x41) {
				text[1] = (char)a;
				text[2] = (char)b;
				text[3] = (char)c;
				want = 0;
				for (i = 1; i < 4; i += n) {
					n = str_utf8_len(text + i, 4 - i);
					if (n == 0) {
						want = -1;
						break;
					}
				}
				cr_assert_eq(
				    jdoc_parse(&doc, text, 5, NULL, NULL), want,
				    "%02x %02x %02x", a, b, c);
			}
		}
	}
	jdoc_free(&doc);
}

Test(jdoc, strings_without_escape_lie_in_the_text)
{
	static const char text[] = "[\"plain\",\"esc\\n\"]";
	struct jdoc doc = {0};

	cr_assert_eq(jdoc_parse(&doc, text, sizeof(text) - 1, NULL, NULL), 0);
	cr_expect_eq(jdoc_at(jdoc_root(&doc), 0)->v.s, text + 2);
	cr_expect_neq(jdoc_at(jdoc_root(&doc), 1)->v.s, text + 10);
	jdoc_free(&doc);
}

Test(jdoc, the_tape_is_in_document_order)
{
	const struct jval *v = root_of("{\"a\":[1,[2,3]],\"b\":{},\"c\":4}");

	cr_expect_eq(jval_kind(v), JDOC_OBJECT);
	cr_expect_eq(v->len, 3);
	cr_expect_eq(v->v.size, 11);
	cr_expect(str_eq(jval_str(v + 1), STR("a")));
	cr_expect_eq(v[2].len, 2);
	cr_expect_eq(v[2].v.size, 5);
	cr_expect_eq(v[4].v.size, 3);
	cr_expect_eq(jval_next(v + 2) - v, 7);
	cr_expect_eq(v[8].v.size, 1);
	cr_expect_eq(v[10].v.i, 4);
	cr_expect_eq(jval_next(v) - v, 11);
}

Test(jdoc, a_document_can_be_used_again)
{
	struct jdoc doc = {0};
	int i;

	for (i = 0; i < 3; i++) {
		cr_expect_eq(
		    jdoc_parse(&doc, T("[\"a\\n\",1]"), NULL, NULL), 0);
		cr_expect_eq(doc.tape_len, 3);
		cr_expect_eq(jdoc_parse(&doc, T("[\"a\\n\","), NULL, NULL), -1);
		cr_expect_eq(doc.tape_len, 0);
	}
	jdoc_free(&doc);
	jdoc_free(&doc);
	cr_expect_eq(jdoc_parse(&doc, T("{}"), NULL, NULL), 0);
	jdoc_free(&doc);
}

Test(jdoc, get_takes_the_last_of_a_key)
{
	const struct jval *v =
	    root_of("{\"a\":1,\"b\":[{\"a\":9}],\"a\":2,\"\":3,\"s\":\"t\"}");

	cr_expect_eq(jdoc_gets(v, "a")->v.i, 2);
	cr_expect_eq(jdoc_gets(v, "")->v.i, 3);
	cr_expect_null(jdoc_gets(v, "aa"));
	cr_expect_null(jdoc_gets(v, "B"));
	cr_expect_null(jdoc_gets(NULL, "a"));
	cr_expect_null(jdoc_gets(jdoc_gets(v, "a"), "a"));
	cr_expect_null(jdoc_gets(jdoc_gets(v, "b"), "a"));
	cr_expect_eq(jdoc_gets(jdoc_at(jdoc_gets(v, "b"), 0), "a")->v.i, 9);
	cr_expect(str_eq(jdoc_get_str(v, "s"), STR("t")));
	cr_expect_null(jdoc_get_str(v, "a").data);
	cr_expect_null(jdoc_get_str(v, "x").data);
	cr_expect_null(jdoc_get_str(NULL, "x").data);
}

Test(jdoc, get_compares_keys_with_their_nul)
{
	const struct jval *v = root_of("{\"a\\u0000b\":1,\"a\":2}");

	cr_expect_eq(jdoc_get(v, (struct str){T("a\0b")})->v.i, 1);
	cr_expect_eq(jdoc_gets(v, "a")->v.i, 2);
}

Test(jdoc, at_counts_elements_not_values)
{
	const struct jval *v = root_of("[[1,2],{\"a\":3},4]");

	cr_expect_eq(jdoc_at(v, 2)->v.i, 4);
	cr_expect_eq(jval_kind(jdoc_at(v, 1)), JDOC_OBJECT);
	cr_expect_null(jdoc_at(v, 3));
	cr_expect_null(jdoc_at(v, SIZE_MAX));
	cr_expect_null(jdoc_at(NULL, 0));
	cr_expect_null(jdoc_at(jdoc_at(v, 1), 0));
}

Test(jdoc, types_have_the_names_of_the_schema)
{
	const struct jval *v =
	    root_of("[null,false,true,1,18446744073709551615,1.5,\"\",[],{}]");
	static const char *const names[] = {"null", "boolean", "boolean",
	    "integer", "integer", "number", "string", "array", "object"};
	size_t i;

	for (i = 0; i < NELEMS(names); i++)
		cr_expect_str_eq(jval_type_name(jdoc_at(v, i)), names[i]);
}

Test(jdoc, double_of_any_number)
{
	cr_expect_eq(jval_double(root_of("-3")), -3.0);
	cr_expect_eq(jval_double(root_of("18446744073709551615")), 0x1p64);
	cr_expect_eq(jval_double(root_of("2.5")), 2.5);
}

Test(jdoc, equal_is_that_of_json)
{
	static const struct {
		const char *a, *b;
		int equal;
	} cases[] = {
	    {"null", "null", 1},
	    {"null", "false", 0},
	    {"true", "true", 1},
	    {"true", "false", 0},
	    {"0", "false", 0},
	    {"1", "1", 1},
	    {"1", "1.0", 1},
	    {"1", "1e0", 1},
	    {"100", "1e2", 1},
	    {"1", "1.5", 0},
	    {"0", "-0", 1},
	    {"0.0", "-0.0", 1},
	    {"1", "\"1\"", 0},
	    {"-1", "18446744073709551615", 0},
	    {"9007199254740993", "9007199254740992.0", 0},
	    {"9007199254740992", "9007199254740992.0", 1},
	    {"9223372036854775807", "9223372036854775808.0", 0},
	    {"-9223372036854775808", "-9223372036854775808.0", 1},
	    {"9223372036854775808", "9223372036854775808.0", 1},
	    {"18446744073709551615", "18446744073709551616.0", 0},
	    {"18446744073709551615", "1e300", 0},
	    {"5", "-1e300", 0},
	    {"18446744073709551615", "-1.0", 0},
	    {"\"a\"", "\"\\u0061\"", 1},
	    {"\"a\"", "\"b\"", 0},
	    {"\"\"", "\"\"", 1},
	    {"\"\\u0000\"", "\"\"", 0},
	    {"[]", "[]", 1},
	    {"[]", "{}", 0},
	    {"[1,2]", "[1,2]", 1},
	    {"[1,2]", "[2,1]", 0},
	    {"[1,2]", "[1]", 0},
	    {"[[1],[2]]", "[[1],[2.0]]", 1},
	    {"{}", "{}", 1},
	    {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", 1},
	    {"{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":2}", 0},
	    {"{\"a\":1}", "{\"a\":1,\"b\":2}", 0},
	    {"{\"a\":1}", "{\"b\":1}", 0},
	    {"{\"a\":1,\"a\":2}", "{\"a\":2}", 1},
	    {"{\"a\":1,\"a\":2}", "{\"a\":1}", 0},
	    {"{\"a\":1,\"a\":2}", "{\"a\":2,\"a\":2}", 1},
	    {"{\"a\":1,\"a\":2,\"b\":1}", "{\"b\":1,\"a\":2}", 1},
	    {"{\"a\":{\"b\":[{\"c\":1,\"d\":2}]}}",
		"{\"a\":{\"b\":[{\"d\":2,\"c\":1.0}]}}", 1},
	    {"{\"\":null}", "{\"\":null}", 1},
	};
	struct jdoc a = {0}, b = {0};
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		cr_assert_eq(
		    jdoc_parse(&a, cases[i].a, strlen(cases[i].a), NULL, NULL),
		    0);
		cr_assert_eq(
		    jdoc_parse(&b, cases[i].b, strlen(cases[i].b), NULL, NULL),
		    0);
		cr_expect_eq(jdoc_equal(jdoc_root(&a), jdoc_root(&b)),
		    cases[i].equal, "%s %s", cases[i].a, cases[i].b);
		cr_expect_eq(jdoc_equal(jdoc_root(&b), jdoc_root(&a)),
		    cases[i].equal, "%s %s", cases[i].b, cases[i].a);
	}
	jdoc_free(&a);
	jdoc_free(&b);
}

Test(jdoc, equal_of_large_objects_is_quick, .timeout = 20)
{
	struct buf ta = BUF_INIT, tb = BUF_INIT;
	struct jdoc a = {0}, b = {0};
	int i, n = 50000;

	for (i = 0; i < n; i++) {
		buf_printf(&ta, "%c\"key%d\":%d", i == 0 ? '{' : ',', i, i);
		buf_printf(&tb, "%c\"key%d\":%d", i == 0 ? '{' : ',', n - 1 - i,
		    n - 1 - i);
	}
	buf_putc(&ta, '}');
	buf_putc(&tb, '}');
	cr_assert_eq(jdoc_parse(&a, ta.data, ta.len, NULL, NULL), 0);
	cr_assert_eq(jdoc_parse(&b, tb.data, tb.len, NULL, NULL), 0);
	cr_expect(jdoc_equal(jdoc_root(&a), jdoc_root(&b)));
	jdoc_free(&a);
	jdoc_free(&b);
	buf_free(&ta);
	buf_free(&tb);
}

/* ---- a generated document goes out and comes back -------------------------
 */

static uint64_t seed;

static unsigned int
any(unsigned int n)
{
	seed = seed * 6364136223846793005U + 1442695040888963407U;
	return (unsigned int)(seed >> 33) % n;
}

static void
generate_string(struct buf *out)
{
	static const char *const pieces[] = {"a", "some plain text ", "\\n",
	    "\\u0000", "\\ud83d\\ude39", "\xC3\xA9", "\xF0\x9F\x98\xB9", "/",
	    "\\/", "\\\\", "\\\"", "\x7F", "\\u001f", "0123456789abcdef"};
	unsigned int n = any(6);

	buf_putc(out, '"');
	while (n-- > 0)
		buf_puts(out, pieces[any(NELEMS(pieces))]);
	buf_putc(out, '"');
}

static void
generate(struct buf *out, unsigned int depth)
{
	static const char *const scalars[] = {"null", "true", "false", "0",
	    "-0", "-1", "9223372036854775807", "-9223372036854775808",
	    "18446744073709551615", "1.5", "1e300", "5e-324", "0.1", "-0.0",
	    "123456789.25", "1e20", "1.0", "99999999999999999999"};
	unsigned int kind = any(depth > 6 ? 2 : 5), n;

	if (kind < 2) {
		if (kind == 0)
			buf_puts(out, scalars[any(NELEMS(scalars))]);
		else
			generate_string(out);
		return;
	}
	buf_putc(out, kind == 2 ? '[' : '{');
	for (n = any(6); n > 0; n--) {
		if (kind != 2) {
			generate_string(out);
			buf_puts(out, any(2) ? ":" : " : ");
		}
		generate(out, depth + 1);
		if (n > 1)
			buf_puts(out, any(2) ? "," : " ,\n\t");
	}
	buf_putc(out, kind == 2 ? ']' : '}');
}

Test(jdoc, what_is_written_reads_back_the_same)
{
	struct jdoc first = {0}, again = {0};
	struct buf text = BUF_INIT, out = BUF_INIT;
	struct jwrite w;
	struct err err = ERR_INIT;
	unsigned int round, indent;

	for (round = 0; round < 4000; round++) {
		seed = round;
		buf_reset(&text);
		generate(&text, 0);
		cr_assert_eq(
		    jdoc_parse(&first, text.data, text.len, NULL, &err), 0,
		    "%s: %s", text.data, err.msg);
		for (indent = 0; indent <= 4; indent += 2) {
			buf_reset(&out);
			w = jwrite_begin(&out, indent);
			jwrite_jval(&w, jdoc_root(&first));
			cr_assert_eq(
			    jdoc_parse(&again, out.data, out.len, NULL, &err),
			    0, "%s: %s", out.data, err.msg);
			cr_assert(
			    jdoc_equal(jdoc_root(&first), jdoc_root(&again)),
			    "%s became %s", text.data, out.data);
			cr_assert_eq(first.tape_len, again.tape_len);
		}
	}
	jdoc_free(&first);
	jdoc_free(&again);
	buf_free(&text);
	buf_free(&out);
}
