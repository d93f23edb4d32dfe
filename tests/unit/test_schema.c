#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "schema/schema.h"
#include "json/jdoc.h"

/* The schema is compiled and its document thrown away at once: what it keeps
 * must be its own. */
static struct schema *
compile(const char *text, struct err *err)
{
	struct schema *schema = NULL;
	struct jdoc doc = {0};
	char *copy = strdup(text);

	cr_assert_eq(jdoc_parse(&doc, copy, strlen(copy), NULL, err), 0,
	    "%s: %s", text, err->msg);
	if (schema_compile(jdoc_root(&doc), jdoc_root(&doc), &schema, err) ==
	    -1)
		schema = NULL;
	jdoc_free(&doc);
	memset(copy, 'x', strlen(copy));
	free(copy);
	return schema;
}

static int
check_text(const struct schema *schema, struct str text,
    struct schema_violation *violation)
{
	struct jdoc doc = {0};
	struct err err;
	int rc;

	memset(violation, 0, sizeof(*violation));
	cr_assert_eq(jdoc_parse(&doc, text.data, text.len, NULL, &err), 0, "%s",
	    err.msg);
	rc = schema_check(schema, jdoc_root(&doc), violation);
	cr_expect_eq(schema_check(schema, jdoc_root(&doc), NULL), rc);
	jdoc_free(&doc);
	return rc;
}

static void
expect_fault(const char *schema_text, const char *text, const char *pointer,
    const char *message)
{
	struct schema_violation violation;
	struct schema *schema;
	struct err err;

	schema = compile(schema_text, &err);
	cr_assert_not_null(schema, "%s: %s", schema_text, err.msg);
	cr_expect_eq(check_text(schema, str_of(text), &violation), -1,
	    "%s accepts %s", schema_text, text);
	cr_expect_str_eq(violation.pointer, pointer, "%s on %s: %s",
	    schema_text, text, violation.pointer);
	cr_expect_str_eq(violation.message, message, "%s on %s: %s",
	    schema_text, text, violation.message);
	schema_free(schema);
}

static void
expect_valid(const char *schema_text, const char *text)
{
	struct schema_violation violation;
	struct schema *schema;
	struct err err;

	schema = compile(schema_text, &err);
	cr_assert_not_null(schema, "%s: %s", schema_text, err.msg);
	cr_expect_eq(check_text(schema, str_of(text), &violation), 0,
	    "%s refuses %s: %s %s", schema_text, text, violation.pointer,
	    violation.message);
	schema_free(schema);
}

static void
expect_refused(const char *schema_text, const char *message)
{
	struct schema *schema;
	struct err err = ERR_INIT;

	schema = compile(schema_text, &err);
	cr_expect_null(schema, "%s is taken", schema_text);
	cr_expect_eq(err.code, ERR_INVALID);
	cr_expect_str_eq(err.msg, message, "%s: %s", schema_text, err.msg);
	schema_free(schema);
}

Test(schema, says_what_is_wrong_with_the_type)
{
	expect_fault("{\"type\":\"string\"}", "42", "",
	    "must be a string, is 42 (integer)");
	expect_fault("{\"type\":\"integer\"}", "1.5", "",
	    "must be an integer, is 1.5 (number)");
	expect_fault("{\"type\":[\"string\",\"null\",\"integer\"]}", "{}", "",
	    "must be a string, an integer or null, is an empty object");
	expect_fault("{\"type\":\"object\"}", "[1]", "",
	    "must be an object, is an array");
	expect_fault(
	    "{\"type\":\"array\"}", "null", "", "must be an array, is null");
	expect_fault("{\"type\":\"number\",\"nullable\":true}", "\"x\"", "",
	    "must be a number or null, is \"x\" (string)");
	expect_fault("{\"type\":\"boolean\"}", "\"true\"", "",
	    "must be a boolean, is \"true\" (string)");
	expect_fault(
	    "false", "1", "", "must not be there: no value is allowed");
}

Test(schema, says_which_values_are_allowed_and_which_was_meant)
{
	expect_fault("{\"properties\":{\"a\":{\"enum\":[\"created\","
		     "\"resolved\"]}}}",
	    "{\"a\":\"craeted\"}", "/a",
	    "must be one of \"created\", \"resolved\", is \"craeted\"; did you "
	    "mean \"created\"?");
	expect_fault("{\"enum\":[1,null,[\"a\"]]}", "\"zebra\"", "",
	    "must be one of 1, null, [\"a\"], is \"zebra\"");
	expect_fault("{\"enum\":[0,1,2,3,4,5,6,7,8,9]}", "10", "",
	    "must be one of 0, 1, 2, 3, 4, 5 or 4 others, is 10");
	expect_fault(
	    "{\"enum\":[]}", "1", "", "no value is allowed here, is 1");
	expect_fault(
	    "{\"const\":\"on\"}", "\"off\"", "", "must be \"on\", is \"off\"");
	expect_fault("{\"const\":{\"a\":1}}", "{\"a\":2}", "",
	    "must be {\"a\":1}, is an object");
}

Test(schema, says_which_limit_is_broken)
{
	expect_fault("{\"maximum\":5}", "7", "", "must be at most 5, is 7");
	expect_fault("{\"minimum\":5}", "-7", "", "must be at least 5, is -7");
	expect_fault(
	    "{\"exclusiveMaximum\":5}", "5", "", "must be less than 5, is 5");
	expect_fault(
	    "{\"exclusiveMinimum\":5}", "5", "", "must be more than 5, is 5");
	expect_fault("{\"multipleOf\":0.5}", "0.7", "",
	    "must be a multiple of 0.5, is 0.7");
	expect_fault("{\"maxLength\":2}", "\"abc\"", "",
	    "must have at most 2 characters, has 3");
	expect_fault("{\"minLength\":1}", "\"\"", "",
	    "must have at least 1 character, has 0");
	expect_fault("{\"maxItems\":1}", "[1,2]", "",
	    "must have at most 1 element, has 2");
	expect_fault("{\"minItems\":3}", "[1,2]", "",
	    "must have at least 3 elements, has 2");
	expect_fault("{\"maxProperties\":0}", "{\"a\":1}", "",
	    "must have at most 0 members, has 1");
	expect_fault("{\"minProperties\":2}", "{\"a\":1}", "",
	    "must have at least 2 members, has 1");
	expect_fault("{\"pattern\":\"^a$\"}", "\"b\"", "",
	    "must match the pattern /^a$/, is \"b\"");
	expect_fault("{\"format\":\"date-time\"}", "\"today\"", "",
	    "must match the format date-time, is \"today\"");
}

Test(schema, names_the_place_of_a_missing_or_unknown_member)
{
	expect_fault("{\"required\":[\"data\"]}", "{}", "/data",
	    "required member \"data\" is missing");
	expect_fault("{\"properties\":{\"x/y\":{\"required\":[\"a~b\"]}}}",
	    "{\"x/y\":{}}", "/x~1y/a~0b", "required member \"a~b\" is missing");
	expect_fault("{\"dependencies\":{\"a\":[\"b\"]}}", "{\"a\":1}", "/b",
	    "required member \"b\" is missing: it must be there if \"a\" is");
	expect_fault("{\"properties\":{\"color\":{}},"
		     "\"additionalProperties\":false}",
	    "{\"colour\":1}", "/colour",
	    "member \"colour\" is not allowed; did you mean \"color\"?");
	expect_fault("{\"properties\":{\"a\":false}}", "{\"a\":1}", "/a",
	    "must not be there: no value is allowed");
	expect_fault("{\"propertyNames\":{\"maxLength\":1}}", "{\"ab\":1}",
	    "/ab", "as a member's name, must have at most 1 character, has 2");
}

Test(schema, names_the_place_within_arrays)
{
	expect_fault("{\"items\":{\"items\":{\"type\":\"null\"}}}",
	    "[[],[null,[0]]]", "/1/1", "must be null, is an array");
	expect_fault("{\"items\":[{},{}],\"additionalItems\":false}", "[1,2,3]",
	    "/2", "must not be there: the array ends after 2 elements");
	expect_fault("{\"uniqueItems\":true}", "[1,2,1.0]", "/2",
	    "must not be equal to another element, is equal to number 0");
	expect_fault("{\"contains\":{\"const\":1}}", "[2,3]", "",
	    "must contain an element as described under \"contains\", none of "
	    "2 is");
}

Test(schema, tells_the_deepest_fault_and_of_those_the_first)
{
	const char *schema = "{\"properties\":{\"a\":{\"type\":\"string\"},"
			     "\"b\":{\"properties\":{\"c\":{\"type\":"
			     "\"string\"}}},\"d\":{\"type\":\"string\"}}}";

	expect_fault(schema, "{\"a\":1,\"b\":{\"c\":2},\"d\":3}", "/b/c",
	    "must be a string, is 2 (integer)");
	expect_fault(schema, "{\"d\":3,\"a\":1}", "/d",
	    "must be a string, is 3 (integer)");
}

Test(schema, explains_alternatives_by_the_nearest)
{
	expect_fault("{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
	    "1", "", "must be a string or null, is 1 (integer)");
	expect_fault("{\"anyOf\":[{\"type\":\"string\"},{\"required\":[\"a\"],"
		     "\"properties\":{\"a\":{\"type\":\"null\"}}}]}",
	    "{\"a\":1}", "/a", "must be null, is 1 (integer)");
	expect_fault("{\"oneOf\":[{\"type\":\"string\"},{\"enum\":[1,2]}]}",
	    "3", "", "must be one of 1, 2, is 3");
	expect_fault("{\"oneOf\":[{\"minimum\":1},{\"type\":\"string\"},"
		     "{\"minimum\":2}]}",
	    "5", "",
	    "must match exactly one of 3 alternatives, matches numbers 1 and "
	    "3");
	expect_fault(
	    "{\"allOf\":[{},{\"properties\":{\"a\":{\"minimum\":1}}}]}",
	    "{\"a\":0}", "/a", "must be at least 1, is 0");
	expect_fault("{\"not\":{\"type\":\"integer\"}}", "1", "",
	    "must not be as described under \"not\", is 1");
	expect_fault("{\"if\":{\"required\":[\"a\"]},\"then\":{\"required\":["
		     "\"b\"]},\"else\":false}",
	    "{\"a\":0}", "/b", "required member \"b\" is missing");
	expect_fault("{\"if\":{\"required\":[\"a\"]},\"then\":true,\"else\":"
		     "false}",
	    "{}", "", "must not be there: no value is allowed");
}

Test(schema, shows_values_short_and_without_control_characters)
{
	struct schema_violation violation;
	struct buf text = BUF_INIT;
	struct schema *schema;
	struct err err;
	int i;

	expect_fault("{\"type\":\"null\"}", "\"a\\u001b[2J\\u0085\\u0000\\n\"",
	    "", "must be null, is \"a\\x1b[2J\\xc2\\x85\\x00\\x0a\" (string)");
	buf_puts(&text, "{\"");
	for (i = 0; i < 500; i++)
		buf_puts(&text, "\xc3\xa9");
	buf_puts(&text, "\":\"a");
	for (i = 0; i < 500; i++)
		buf_puts(&text, "\xc3\xa9");
	buf_puts(&text, "\"}");
	schema =
	    compile("{\"additionalProperties\":{\"type\":\"null\"}}", &err);
	cr_assert_eq(
	    check_text(schema, (struct str){text.data, text.len}, &violation),
	    -1);
	cr_expect_lt(strlen(violation.message), 110);
	cr_expect_not_null(strstr(violation.message, "\xa9...\" (string)"));
	cr_expect_eq(strlen(violation.pointer), 510);
	cr_expect_str_eq(
	    violation.pointer + strlen(violation.pointer) - 4, "\xa9...");
	cr_expect_eq(violation.depth, 1);
	schema_free(schema);
	buf_free(&text);
}

Test(schema, of_a_key_that_comes_twice_the_last_counts)
{
	const char *schema =
	    "{\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":["
	    "\"a\"],\"additionalProperties\":{\"type\":\"null\"},"
	    "\"maxProperties\":2,\"minProperties\":2}";

	expect_valid(schema, "{\"a\":\"x\",\"b\":1,\"a\":1,\"b\":null}");
	expect_fault(schema, "{\"a\":1,\"b\":null,\"a\":\"x\"}", "/a",
	    "must be an integer, is \"x\" (string)");
	expect_fault(schema, "{\"a\":[1],\"a\":1,\"a\":2}", "",
	    "must have at least 2 members, has 1");
	expect_fault("{\"properties\":{\"a\":{\"items\":{\"type\":\"null\"}}},"
		     "\"required\":[\"b\"]}",
	    "{\"a\":[0],\"a\":[]}", "/b", "required member \"b\" is missing");
	expect_valid("{\"type\":\"string\",\"type\":\"integer\"}", "1");
	expect_valid("{\"properties\":{\"a\":false,\"a\":true}}", "{\"a\":1}");
	expect_fault("{\"uniqueItems\":true}", "[{\"a\":1,\"a\":2},{\"a\":2}]",
	    "/1", "must not be equal to another element, is equal to number 0");
}

Test(schema, refuses_keywords_of_the_wrong_kind)
{
	expect_refused("1", "the schema: must be a schema, which is an object "
			    "or a boolean, is 1");
	expect_refused("{\"items\":\"x\"}",
	    "/items: must be a schema, which is an object or a boolean, is "
	    "\"x\"");
	expect_refused("{\"properties\":{\"a\":{\"type\":\"strin\"}}}",
	    "/properties/a/type: \"strin\" is not a type; did you mean "
	    "\"string\"?");
	expect_refused("{\"type\":\"text\"}",
	    "/type: \"text\" is not a type: those are array, boolean, integer, "
	    "null, number, object, string");
	expect_refused("{\"type\":[]}", "/type: must name one type at least");
	expect_refused("{\"type\":[\"null\",1]}",
	    "/type/1: must be the name of a type, is 1");
	expect_refused(
	    "{\"enum\":1}", "/enum: must be an array of values, is 1");
	expect_refused("{\"multipleOf\":0}",
	    "/multipleOf: must be a number above 0, is 0");
	expect_refused(
	    "{\"maximum\":\"1\"}", "/maximum: must be a number, is \"1\"");
	expect_refused("{\"exclusiveMinimum\":true}",
	    "/exclusiveMinimum: must be a number, is a boolean (which it was "
	    "in "
	    "draft 4)");
	expect_refused("{\"minLength\":-1}",
	    "/minLength: must be a whole number, 0 or more, is -1");
	expect_refused("{\"maxItems\":1.5}",
	    "/maxItems: must be a whole number, 0 or more, is 1.5");
	expect_refused("{\"minProperties\":null}",
	    "/minProperties: must be a whole number, 0 or more, is null");
	expect_refused("{\"format\":1}",
	    "/format: must be a string: a format's name, is 1");
	expect_refused(
	    "{\"nullable\":1}", "/nullable: must be a boolean, is 1");
	expect_refused(
	    "{\"uniqueItems\":1}", "/uniqueItems: must be a boolean, is 1");
	expect_refused("{\"$id\":1}", "/$id: must be a string: a URI, is 1");
	expect_refused("{\"properties\":[]}",
	    "/properties: must be an object of schemas, is an empty array");
	expect_refused("{\"definitions\":{\"a\":{\"not\":1}}}",
	    "/definitions/a/not: must be a schema, which is an object or a "
	    "boolean, is 1");
	expect_refused("{\"required\":true}",
	    "/required: must be an array of names, beside \"properties\", is a "
	    "boolean (which it was in draft 3)");
	expect_refused("{\"required\":[\"a\",\"b\",\"a\"]}",
	    "/required/0: \"a\" is named twice");
	expect_refused("{\"required\":[1]}",
	    "/required/0: must be a string: a member's name, is 1");
	expect_refused("{\"dependencies\":{\"a\":[0]}}",
	    "/dependencies/a/0: must be a string: a member's name, is 0");
	expect_refused("{\"dependencies\":1}",
	    "/dependencies: must be an object of schemas and arrays of names, "
	    "is 1");
	expect_refused("{\"allOf\":[]}",
	    "/allOf: must be an array of one schema or more, is an empty "
	    "array");
	expect_refused("{\"anyOf\":[true,null]}",
	    "/anyOf/1: must be a schema, which is an object or a boolean, is "
	    "null");
	expect_refused("{\"if\":1}",
	    "/if: must be a schema, which is an object or a boolean, is 1");
}

Test(schema, refuses_patterns_that_do_not_compile)
{
	expect_refused("{\"pattern\":\"(a\"}",
	    "/pattern: \"(a\" is not a regular expression: missing closing "
	    "parenthesis");
	expect_refused("{\"pattern\":1}",
	    "/pattern: must be a string: a regular expression, is 1");
	expect_refused("{\"patternProperties\":{\"a\":true,\"[z-a]\":true}}",
	    "/patternProperties/[z-a]: \"[z-a]\" is not a regular expression: "
	    "range out of order in character class");
	expect_refused("{\"pattern\":\"a\\\\\"}",
	    "/pattern: \"a\\\" is not a regular expression: a backslash at the "
	    "end");
	expect_refused("{\"pattern\":\"(*LIMIT_MATCH=1)a\"}",
	    "/pattern: \"(*LIMIT_MATCH=1)a\" is not a regular expression: "
	    "nothing to repeat at offset 1");
	expect_refused("{\"pattern\":\"a\\\\Q[\"}",
	    "/pattern: \"a\\Q[\" is not a regular expression: \\Q at offset 1 "
	    "is not of ECMA 262");
	expect_refused("{\"pattern\":\"\\\\C\"}",
	    "/pattern: \"\\C\" is not a regular expression: using \\C is "
	    "disabled by the application");
}

Test(schema, refuses_references_that_lead_nowhere)
{
	expect_refused("{\"items\":{\"$ref\":\"#/definitions/a\"}}",
	    "/items/$ref: \"#/definitions/a\" leads nowhere: there is no "
	    "'definitions' at ''");
	expect_refused("{\"items\":{\"$ref\":\"#a\"}}",
	    "/items/$ref: \"#a\" leads nowhere: no schema has that \"$id\"");
	expect_refused("{\"items\":{\"$ref\":\"http://x.example/y.json#/a\"}}",
	    "/items/$ref: \"http://x.example/y.json#/a\" leads out of the "
	    "document, and only schemas within it are known; put it under "
	    "\"definitions\"");
	expect_refused("{\"items\":{\"$ref\":1}}",
	    "/items/$ref: must be a string: where the schema is");
	expect_refused("{\"items\":{\"$ref\":\"#/x\"},\"x\":[]}",
	    "/x: must be a schema, which is an object or a boolean, since a "
	    "reference leads here, is an empty array");
	expect_refused("{\"items\":{\"$ref\":\"#/~2\"}}",
	    "/items/$ref: \"#/~2\" leads nowhere: '/~2' is not a JSON Pointer: "
	    "~ stands before 0 or 1 only");
}

Test(schema, refuses_references_without_end)
{
	expect_refused("{\"$ref\":\"#\"}",
	    "the schema: the reference leads back to itself, by way of others");
	expect_refused("{\"items\":{\"$ref\":\"#/x\"},\"x\":{\"$ref\":\"#/y\"},"
		       "\"y\":{\"$ref\":\"#/x\"}}",
	    "/items: the reference leads back to itself, by way of others");
	expect_refused("{\"allOf\":[{\"$ref\":\"#\"}]}",
	    "the schema: refers to itself for the same value, without end");
	expect_refused("{\"items\":{\"not\":{\"if\":true,\"then\":{\"$ref\":\"#"
		       "/items\"}}}}",
	    "/items: refers to itself for the same value, without end");
	expect_refused("{\"dependencies\":{\"a\":{\"$ref\":\"#\"}}}",
	    "the schema: refers to itself for the same value, without end");
}

Test(schema, resolves_references_from_within_a_larger_document)
{
	static const char text[] =
	    "{\"asyncapi\":\"2.6.0\",\"m\":{\"payload\":{\"properties\":{\"a\":"
	    "{"
	    "\"$ref\":\"#/components/schemas/A\"},\"b\":{\"$ref\":\"#b\"}}}},"
	    "\"components\":{\"schemas\":{\"A\":{\"type\":\"string\"},\"B\":{"
	    "\"$id\":\"#b\",\"type\":\"integer\"}}}}";
	struct schema_violation violation;
	struct schema *schema;
	struct jdoc doc = {0};
	struct err err;

	cr_assert_eq(jdoc_parse(&doc, text, strlen(text), NULL, &err), 0);
	cr_assert_eq(schema_compile(jdoc_root(&doc),
			 jdoc_gets(jdoc_gets(jdoc_root(&doc), "m"), "payload"),
			 &schema, &err),
	    0, "%s", err.msg);
	jdoc_free(&doc);
	cr_expect_eq(
	    check_text(schema, STR("{\"a\":\"x\",\"b\":1}"), &violation), 0);
	cr_expect_eq(check_text(schema, STR("{\"a\":1}"), &violation), -1);
	cr_expect_eq(check_text(schema, STR("{\"b\":\"1\"}"), &violation), -1);
	schema_free(schema);
}

Test(schema, frees_nothing_without_complaint)
{
	schema_free(NULL);
}

/* ---- hostile ------------------------------------------------------------- */

static double
seconds(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Wide, for sanitizers and busy machines: without a limit it is for ever. */
#define SOON 10.0

static void
repeat(struct buf *buf, const char *s, size_t n)
{
	while (n-- > 0)
		buf_puts(buf, s);
}

static int
check_soon(const char *schema_text, const struct buf *text,
    struct schema_violation *violation)
{
	double start = seconds();
	struct schema *schema;
	struct err err;
	int rc;

	schema = compile(schema_text, &err);
	cr_assert_not_null(schema, "%s", err.msg);
	rc = check_text(schema, (struct str){text->data, text->len}, violation);
	schema_free(schema);
	cr_expect_lt(seconds() - start, SOON);
	return rc;
}

Test(schema, gives_up_on_patterns_that_backtrack)
{
	const char *schema = "{\"items\":{\"pattern\":\"^(a+)+$\"}}";
	struct schema_violation violation;
	struct buf text = BUF_INIT;

	buf_puts(&text, "[\"");
	repeat(&text, "a", 5000);
	buf_puts(&text, "!\"]");
	cr_expect_eq(check_soon(schema, &text, &violation), -1);
	cr_expect_str_eq(violation.pointer, "/0");
	cr_expect_eq(strncmp(violation.message,
			 "cannot be checked: the pattern /^(a+)+$/ takes too "
			 "long on \"aaa",
			 60),
	    0, "%s", violation.message);

	/* Many that each stay below the limit. */
	buf_reset(&text);
	buf_puts(&text, "[\"a\"");
	repeat(&text, ",\"aaaaaaaaaaaaaaaa!\"", 50000);
	buf_puts(&text, "]");
	cr_expect_eq(
	    check_soon("{\"items\":{\"not\":{\"pattern\":\"^(a+)+$\"}},"
		       "\"minItems\":1}",
		&text, &violation),
	    -1);
	cr_expect_str_eq(violation.pointer, "/0");
	buf_reset(&text);
	buf_puts(&text, "[0");
	repeat(&text, ",\"aaaaaaaaaaaaaaaa!\"", 50000);
	buf_puts(&text, "]");
	cr_expect_eq(
	    check_soon("{\"items\":{\"not\":{\"pattern\":\"^(a+)+$\"}}}", &text,
		&violation),
	    -1);
	buf_free(&text);
}

Test(schema, takes_long_strings_that_a_pattern_fits)
{
	struct schema_violation violation;
	struct buf text = BUF_INIT;

	buf_putc(&text, '"');
	repeat(&text, "ab", 20000);
	buf_putc(&text, '"');
	cr_expect_eq(
	    check_soon("{\"pattern\":\"^(?:a|b)*$\"}", &text, &violation), 0,
	    "%s", violation.message);
	cr_expect_eq(
	    check_soon("{\"pattern\":\"^(a|b)+c?$\"}", &text, &violation), 0,
	    "%s", violation.message);
	buf_free(&text);
}

Test(schema, gives_up_on_alternatives_that_multiply)
{
	struct schema_violation violation;
	struct buf text = BUF_INIT;

	repeat(&text, "[", 60);
	repeat(&text, "]", 60);
	cr_expect_eq(
	    check_soon("{\"definitions\":{\"a\":{\"oneOf\":[{\"items\":"
		       "{\"$ref\":\"#/definitions/a\"}},{\"items\":"
		       "{\"$ref\":\"#/definitions/a\"},\"maxItems\":0}"
		       "]}},\"items\":{\"$ref\":\"#/definitions/a\"}}",
		&text, &violation),
	    -1);
	cr_expect_eq(check_soon("{\"items\":{\"$ref\":\"#/definitions/a\"},"
				"\"definitions\":{\"a\":{\"anyOf\":[{\"items\":"
				"{\"$ref\":\"#/definitions/a\"},\"minItems\":1"
				"},{\"items\":{\"$ref\":\"#/definitions/a\"},"
				"\"minItems\":1}]}}}",
			 &text, &violation),
	    -1);
	cr_expect_not_null(strstr(violation.message, "too much work"), "%s",
	    violation.message);
	buf_free(&text);
}

Test(schema, compares_many_elements_in_little_time)
{
	struct schema_violation violation;
	struct buf text = BUF_INIT;
	int i;

	buf_puts(&text, "[0");
	for (i = 1; i < 100000; i++)
		buf_printf(&text, ",%d", i);
	buf_puts(&text, "]");
	cr_expect_eq(
	    check_soon("{\"uniqueItems\":true}", &text, &violation), 0);
	text.len--;
	buf_puts(&text, ",77]");
	cr_expect_eq(
	    check_soon("{\"uniqueItems\":true}", &text, &violation), -1);
	cr_expect_str_eq(violation.pointer, "/100000");

	/* One object, a great many members. */
	buf_reset(&text);
	buf_puts(&text, "[{\"a\":1");
	for (i = 1; i < 60000; i++)
		buf_printf(&text, ",\"k%d\":1", i);
	buf_puts(&text, "},1]");
	(void)check_soon("{\"uniqueItems\":true}", &text, &violation);
	buf_free(&text);
}

Test(schema, counts_and_looks_up_many_members_in_little_time)
{
	struct schema_violation violation;
	struct buf text = BUF_INIT;
	int i, round;

	/* Every one is wrong, but comes again and is right. */
	buf_puts(&text, "{\"a\":1");
	for (round = 0; round < 2; round++) {
		for (i = 1; i < 40000; i++)
			buf_printf(&text, ",\"k%d\":%d", i, round);
	}
	buf_puts(&text, "}");
	(void)check_soon(
	    "{\"additionalProperties\":{\"const\":1}}", &text, &violation);
	cr_expect_eq(check_soon("{\"maxProperties\":40000,\"minProperties\":"
				"40000}",
			 &text, &violation),
	    0, "%s", violation.message);
	cr_expect_eq(
	    check_soon("{\"maxProperties\":39999}", &text, &violation), -1);
	cr_expect_str_eq(
	    violation.message, "must have at most 39999 members, has 40000");
	buf_free(&text);
}

Test(schema, takes_values_as_deep_as_the_parser_does)
{
	struct schema_violation violation;
	struct buf text = BUF_INIT;

	repeat(&text, "[", JDOC_MAX_DEPTH);
	repeat(&text, "]", JDOC_MAX_DEPTH);
	cr_expect_eq(
	    check_soon("{\"items\":{\"$ref\":\"#\"},\"type\":\"array\"}", &text,
		&violation),
	    0);
	cr_expect_eq(check_soon("{\"allOf\":[{\"items\":{\"$ref\":\"#\"}},"
				"{\"type\":\"array\"}]}",
			 &text, &violation),
	    0);
	/* Five schemas a level: the sum is too deep. */
	cr_expect_eq(
	    check_soon("{\"allOf\":[{\"allOf\":[{\"allOf\":[{\"allOf\":[{"
		       "\"items\":{\"$ref\":\"#\"}}]}]}]}]}",
		&text, &violation),
	    -1);
	cr_expect_str_eq(violation.message, "is nested too deep to be checked");
	buf_free(&text);
}

Test(schema, takes_schemas_as_deep_as_the_parser_does)
{
	struct buf text = BUF_INIT;
	struct schema *schema;
	struct err err;
	int i;

	repeat(&text, "{\"not\":", 500);
	buf_puts(&text, "true");
	repeat(&text, "}", 500);
	expect_valid(buf_text(&text), "1");

	/* One within the other by reference, thousands of times. */
	buf_reset(&text);
	buf_puts(&text, "{\"definitions\":{\"d0\":true");
	for (i = 1; i < 5000; i++)
		buf_printf(&text,
		    ",\"d%d\":{\"allOf\":[{\"$ref\":\"#/definitions/d%d\"}]}",
		    i, i - 1);
	buf_puts(&text, "},\"items\":{\"$ref\":\"#/definitions/d4999\"}}");
	schema = compile(buf_text(&text), &err);
	cr_expect_null(schema);
	cr_expect_not_null(
	    strstr(err.msg, "more than 2048 schemas apply to the same value"),
	    "%s", err.msg);
	buf_free(&text);
}

/* ---- threads ------------------------------------------------------------- */

static void *
check_often(void *arg)
{
	struct schema_violation violation;
	long bad = 0;
	int i;

	for (i = 0; i < 300; i++) {
		bad += check_text(arg, STR("{\"a\":\"xn--bcher-kva\"}"),
			   &violation) != 0;
		bad += check_text(arg, STR("{\"a\":\"-\"}"), &violation) != -1;
	}
	return (void *)bad;
}

Test(schema, is_read_by_many_threads)
{
	pthread_t threads[4];
	struct schema *schema;
	struct err err;
	void *bad;
	size_t i;

	schema = compile("{\"properties\":{\"a\":{\"format\":\"hostname\","
			 "\"pattern\":\"^x(?:n|m)\"}}}",
	    &err);
	for (i = 0; i < NELEMS(threads); i++)
		cr_assert_eq(
		    pthread_create(&threads[i], NULL, check_often, schema), 0);
	for (i = 0; i < NELEMS(threads); i++) {
		cr_assert_eq(pthread_join(threads[i], &bad), 0);
		cr_expect_null(bad);
	}
	schema_free(schema);
}
