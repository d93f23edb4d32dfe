/* JSON Pointer, and dotted paths. */
#include <stdint.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "json/jpath.h"

static struct jdoc doc;
static struct buf out;
static struct err err;

static const struct jval *
root_of(const char *text)
{
	cr_assert_eq(jdoc_parse(&doc, text, strlen(text), NULL, &err), 0);
	return jdoc_root(&doc);
}

static void
cleanup(void)
{
	jdoc_free(&doc);
	buf_free(&out);
}

TestSuite(jpath, .fini = cleanup);

static const char rfc[] =
    "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,"
    "\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8,\"~1\":9,"
    "\"in\":{\"\":{\"x\":10}},\"01\":11}";

Test(jpath, the_examples_of_the_rfc)
{
	static const struct {
		const char *pointer;
		int64_t value;
	} cases[] = {
	    {"/", 0},
	    {"/a~1b", 1},
	    {"/c%d", 2},
	    {"/e^f", 3},
	    {"/g|h", 4},
	    {"/i\\j", 5},
	    {"/k\"l", 6},
	    {"/ ", 7},
	    {"/m~0n", 8},
	    {"/~01", 9},
	    {"/in//x", 10},
	    {"/01", 11},
	};
	const struct jval *root = root_of(rfc), *v;
	size_t i;

	cr_expect_eq(jpath_get(root, STR(""), &err), root);
	cr_expect_eq(jpath_get(root, STR("/foo"), &err)->len, 2);
	cr_expect(
	    str_eq(jval_str(jpath_get(root, STR("/foo/0"), &err)), STR("bar")));
	for (i = 0; i < NELEMS(cases); i++) {
		v = jpath_get(root, str_of(cases[i].pointer), &err);
		cr_assert_not_null(v, "%s: %s", cases[i].pointer, err.msg);
		cr_expect_eq(v->v.i, cases[i].value, "%s", cases[i].pointer);
	}
}

Test(jpath, what_is_missing_is_named)
{
	static const char *const cases[] = {"/bar", "/foo/2", "/foo/-",
	    "/foo/01", "/foo/+1", "/foo/1e0", "/foo/0/x", "/foo/",
	    "/foo/99999999999999999999", "/a/b", "/in/", "/in//x/y"};
	const struct jval *root = root_of(rfc);
	size_t i;

	cr_expect_not_null(jpath_get(root, STR("/in/"), &err));
	for (i = 0; i < NELEMS(cases); i++) {
		if (strcmp(cases[i], "/in/") == 0)
			continue;
		err = (struct err)ERR_INIT;
		cr_expect_null(
		    jpath_get(root, str_of(cases[i]), &err), "%s", cases[i]);
		cr_expect_eq(err.code, ERR_NOT_FOUND, "%s", cases[i]);
	}
	cr_expect_null(jpath_get(root, STR("/in/nope/x"), &err));
	cr_expect_str_eq(err.msg, "there is no 'nope' at '/in'");
	cr_expect_null(jpath_get(root, STR("/nope"), &err));
	cr_expect_str_eq(err.msg, "there is no 'nope' at ''");
}

Test(jpath, what_is_no_pointer_is_refused)
{
	static const char *const cases[] = {
	    "foo", "#/foo", "/~", "/~2", "/foo/~x", "/nope/~", "~0"};
	const struct jval *root = root_of(rfc);
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		err = (struct err)ERR_INIT;
		cr_expect_null(jpath_get(root, str_of(cases[i]), &err));
		cr_expect_eq(err.code, ERR_INVALID, "%s", cases[i]);
	}
	cr_expect_null(jpath_get(root, STR("x"), NULL));
}

Test(jpath, keys_are_escaped_and_found_again)
{
	static const char *const keys[] = {
	    "foo", "", "a/b", "m~n", "~1", "i\\j"};
	const struct jval *root = root_of(rfc);
	size_t i;

	for (i = 0; i < NELEMS(keys); i++) {
		buf_reset(&out);
		jpath_put_key(&out, str_of(keys[i]));
		cr_expect_eq(
		    jpath_get(root, (struct str){out.data, out.len}, &err),
		    jdoc_gets(root, keys[i]));
	}
	buf_reset(&out);
	jpath_put_key(&out, STR("a/~b"));
	jpath_put_index(&out, 12);
	cr_expect_str_eq(buf_text(&out), "/a~1~0b/12");
}

Test(jpath, set_replaces_and_makes)
{
	static const struct {
		const char *doc, *path, *json, *want;
	} cases[] = {
	    {"{}", "a", "1", "{\"a\":1}"},
	    {"{}", "a.b.c", "\"x\"", "{\"a\":{\"b\":{\"c\":\"x\"}}}"},
	    {"{\"a\":1,\"b\":2}", "a", "[]", "{\"a\":[],\"b\":2}"},
	    {"{\"a\":1,\"b\":2}", "c", "3", "{\"a\":1,\"b\":2,\"c\":3}"},
	    {"{\"a\":{\"b\":1,\"c\":2}}", "a.b", "null",
		"{\"a\":{\"b\":null,\"c\":2}}"},
	    {"{\"a\":[1,2,3]}", "a.1", "9", "{\"a\":[1,9,3]}"},
	    {"{\"a\":[1,2,3]}", "a.3", "9", "{\"a\":[1,2,3,9]}"},
	    {"{\"a\":[]}", "a.0.x", "1", "{\"a\":[{\"x\":1}]}"},
	    {"[{\"a\":1}]", "0.a", "2", "[{\"a\":2}]"},
	    {"{\"0\":1}", "0", "2", "{\"0\":2}"},
	    {"{\"a\":1,\"a\":2}", "a", "3", "{\"a\":1,\"a\":3}"},
	    {"{\"a\":null}", "a", "{\"b\":[1]}", "{\"a\":{\"b\":[1]}}"},
	};
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		buf_reset(&out);
		cr_assert_eq(
		    jpath_set(root_of(cases[i].doc), str_of(cases[i].path),
			str_of(cases[i].json), &out, &err),
		    0, "%s", err.msg);
		cr_expect_str_eq(buf_text(&out), cases[i].want);
	}
}

Test(jpath, set_refuses_and_leaves_the_buffer)
{
	static const struct {
		const char *doc, *path;
	} cases[] = {
	    {"{}", ""},
	    {"{}", "."},
	    {"{}", "a."},
	    {"{}", ".a"},
	    {"{}", "a..b"},
	    {"1", "a"},
	    {"{\"a\":1}", "a.b"},
	    {"{\"a\":\"s\"}", "a.b.c"},
	    {"{\"a\":null}", "a.b"},
	    {"[1]", "2"},
	    {"[1]", "x"},
	    {"[1]", "-1"},
	    {"[1]", "00"},
	    {"[1]", "99999999999999999999"},
	};
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		buf_reset(&out);
		buf_puts(&out, "before");
		err = (struct err)ERR_INIT;
		cr_expect_eq(jpath_set(root_of(cases[i].doc),
				 str_of(cases[i].path), STR("1"), &out, &err),
		    -1, "%s", cases[i].path);
		cr_expect_eq(err.code, ERR_INVALID);
		cr_expect_str_eq(buf_text(&out), "before");
	}
}

Test(jpath, set_refuses_a_path_without_end)
{
	struct buf path = BUF_INIT;
	int i;

	for (i = 0; i < 100000; i++)
		buf_puts(&path, "a.");
	buf_puts(&path, "a");
	cr_expect_eq(jpath_set(root_of("{}"), (struct str){path.data, path.len},
			 STR("1"), &out, &err),
	    -1);
	cr_expect_eq(err.code, ERR_INVALID);
	cr_expect_eq(out.len, 0);
	buf_free(&path);
}

Test(jpath, what_set_writes_is_json)
{
	struct jdoc again = {0};
	const struct jval *v;

	cr_assert_eq(jpath_set(root_of(rfc), STR("foo.0"),
			 STR("{\"deep\":[1]}"), &out, &err),
	    0);
	cr_assert_eq(jdoc_parse(&again, out.data, out.len, NULL, &err), 0);
	v = jpath_get(jdoc_root(&again), STR("/foo/0/deep/0"), &err);
	cr_expect_eq(v->v.i, 1);
	jdoc_free(&again);
}
