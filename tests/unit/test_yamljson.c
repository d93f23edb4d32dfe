/* YAML to JSON: scalars by the core schema, aliases, merge keys, refusals. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"

#include "catalog/yamljson.h"

static void
becomes(const char *yaml, const char *json)
{
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	cr_expect_eq(yamljson_convert(yaml, strlen(yaml), &out, &err), 0,
	    "%s: %s", yaml, err.msg);
	cr_expect_str_eq(
	    buf_text(&out), json, "%s -> %s", yaml, buf_text(&out));
	buf_free(&out);
}

static void
refuses(const char *yaml, size_t len, enum err_code code, const char *message)
{
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	buf_puts(&out, "before");
	cr_expect_eq(yamljson_convert(yaml, len, &out, &err), -1,
	    "was taken: %.60s -> %s", yaml, buf_text(&out));
	cr_expect_eq(err.code, code, "%.60s: %s", yaml, err.msg);
	cr_expect_eq(strncmp(err.msg, message, strlen(message)), 0,
	    "%.60s: says \"%s\", not \"%s\"", yaml, err.msg, message);
	cr_expect_str_eq(buf_text(&out), "before");
	buf_free(&out);
}

#define REFUSES(yaml, message)                                                 \
	refuses(yaml, sizeof(yaml) - 1, ERR_INVALID, message)

Test(yamljson, reads_plain_scalars_by_the_core_schema)
{
	becomes("[null, Null, ~, !!null , 'x']", "[null,null,null,null,\"x\"]");
	becomes("[true, True, FALSE, false]", "[true,true,false,false]");
	becomes("[0, 7, -7, +7, 007, 0x1F, 0o17, -0]", "[0,7,-7,7,7,31,15,-0]");
	becomes("[1.5, -.5, 1., 1e3, 1.5E-3, +12.0, 00.5]",
	    "[1.5,-0.5,1.0,1e3,1.5E-3,12.0,0.5]");
	becomes(
	    "[4505281256062976, 18446744073709551615, 123456789012345678901]",
	    "[4505281256062976,18446744073709551615,123456789012345678901]");
}

Test(yamljson, leaves_as_text_what_only_older_yaml_converts)
{
	becomes("[yes, no, on, off, y, 2026-11-23, 12:30:45, 1_000, 0b1]",
	    "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"2026-11-23\",\"12:30:45\","
	    "\"1_000\",\"0b1\"]");
	becomes("[2.6.0, 1e, e3, ., -, +, 0x, 0xg, 0o8, .5.5, 1.2.3, tRUE]",
	    "[\"2.6.0\",\"1e\",\"e3\",\".\",\"-\",\"+\",\"0x\",\"0xg\","
	    "\"0o8\",\".5.5\",\"1.2.3\",\"tRUE\"]");
}

Test(yamljson, keeps_quoted_and_block_scalars_as_text)
{
	becomes("{version: \"0\", a: 'true', b: '', c: \"null\"}",
	    "{\"version\":\"0\",\"a\":\"true\",\"b\":\"\",\"c\":\"null\"}");
	becomes("a: |\n  12\n  x\nb: >-\n  12\n",
	    "{\"a\":\"12\\nx\\n\",\"b\":\"12\"}");
	becomes(
	    "\"a\\u0000\\\"\\U0001F440\"", "\"a\\u0000\\\"\xF0\x9F\x91\x80\"");
}

Test(yamljson, reads_keys_as_text_whatever_they_look_like)
{
	becomes("{404: a, true: b, ~: c, 1.0: d}",
	    "{\"404\":\"a\",\"true\":\"b\",\"~\":\"c\",\"1.0\":\"d\"}");
}

Test(yamljson, obeys_tags_of_the_core_schema)
{
	becomes(
	    "[!!str 12, ! 12, !!int '12', !!float 1, !!bool 'true', !!null '']",
	    "[\"12\",\"12\",12,1,true,null]");
	becomes("!!map {a: !!seq [1]}", "{\"a\":[1]}");
	REFUSES("a: 1\nb: !!int x\n", "line 2: this is no !!int");
	REFUSES(
	    "!!binary aGk=", "line 1: the tag tag:yaml.org,2002:binary means");
	REFUSES("!mine {a: 1}", "line 1: the tag !mine means nothing");
	REFUSES("!!set {a}", "line 1: the tag tag:yaml.org,2002:set means");
}

Test(yamljson, expands_aliases)
{
	becomes("{a: &x [1, {b: 2}], c: *x, d: [*x]}",
	    "{\"a\":[1,{\"b\":2}],\"c\":[1,{\"b\":2}],\"d\":[[1,{\"b\":2}]]}");
	becomes("[&x 1, *x, &x 2, *x]", "[1,1,2,2]");
	REFUSES("a: *x\n", "line 1: there is no anchor &x before *x");
	REFUSES("&x [1, *x]", "line 1: *x stands within its own anchor");
	REFUSES("{&x a: 1, *x : 2}", "line 1: a key must be a plain name");
}

Test(yamljson, expands_merge_keys)
{
	becomes("{b: &b {x: 1, y: 2}, m: {<<: *b, y: 3, z: 4}}",
	    "{\"b\":{\"x\":1,\"y\":2},\"m\":{\"x\":1,\"y\":3,\"z\":4}}");
	becomes("[&a {x: 1}, &b {x: 2, y: 2}, {<<: [*a, *b], z: 3}]",
	    "[{\"x\":1},{\"x\":2,\"y\":2},{\"x\":1,\"y\":2,\"z\":3}]");
	becomes("[&a {x: 1}, &b {<<: *a, y: 2}, {y: 9, <<: *b}]",
	    "[{\"x\":1},{\"x\":1,\"y\":2},{\"x\":1,\"y\":9}]");
	becomes("{'<<': 1}", "{\"<<\":1}");
	REFUSES("a: 1\n<<: 5\n", "line 2: << takes a mapping");
	REFUSES("<<: [[1]]\n", "line 1: << takes a mapping");
}

Test(yamljson, refuses_what_json_cannot_say)
{
	REFUSES("a: .inf", "line 1: JSON has no .inf");
	REFUSES("a: -.INF", "line 1: JSON has no -.INF");
	REFUSES("a: .nan", "line 1: JSON has no .nan");
	REFUSES("{[a]: 1}", "line 1: a key must be a plain name");
	REFUSES("? {a: 1}\n: 2\n", "line 1: a key must be a plain name");
	REFUSES("a: 1\nb: 2\na: 3\n",
	    "line 3: the key \"a\" was there before, in line 1");
}

Test(yamljson, wants_one_document)
{
	REFUSES("", "line 1: there is nothing in it");
	REFUSES("# only this\n", "line 1: there is nothing in it");
	REFUSES("a: 1\n---\nb: 2\n", "line 2: a second document begins here");
	becomes("---\na: 1\n...\n", "{\"a\":1}");
}

Test(yamljson, tells_the_line_of_a_syntax_error)
{
	REFUSES("a: 1\nb: [1\nc: 2\n", "line 3: ");
	REFUSES("a: 1\n  b: 2\n", "line 2: mapping values are not allowed");
	REFUSES("a: \x01", "line ");
	REFUSES("a: \xFF\xFF\xFF", "line ");
	REFUSES("a: \"x", "line ");
	REFUSES("%YAML 3.0\n---\na", "line 1: ");
}

Test(yamljson, stops_at_its_depth)
{
	struct buf yaml = BUF_INIT;
	int i;

	for (i = 0; i < YAMLJSON_MAX_DEPTH; i++)
		buf_putc(&yaml, '[');
	for (i = 0; i < YAMLJSON_MAX_DEPTH; i++)
		buf_putc(&yaml, ']');
	becomes(yaml.data, yaml.data);
	buf_reset(&yaml);
	for (i = 0; i < 100000; i++)
		buf_putc(&yaml, '[');
	refuses(yaml.data, yaml.len, ERR_TOO_LARGE, "line 1: nested deeper");

	/* Aliases do not get around it. */
	buf_reset(&yaml);
	buf_puts(&yaml, "- &a0 x\n");
	for (i = 1; i <= YAMLJSON_MAX_DEPTH; i++)
		buf_printf(&yaml, "- &a%d [*a%d]\n", i, i - 1);
	refuses(yaml.data, yaml.len, ERR_TOO_LARGE, "line ");
	buf_free(&yaml);
}

Test(yamljson, is_not_blown_up_by_aliases, .timeout = 20)
{
	struct buf yaml = BUF_INIT;
	int i;

	/* Nine to the power of thirty. */
	buf_puts(&yaml, "a0: &a0 [lol]\n");
	for (i = 1; i <= 30; i++)
		buf_printf(&yaml,
		    "a%d: &a%d "
		    "[*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n",
		    i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1,
		    i - 1, i - 1);
	refuses(yaml.data, yaml.len, ERR_TOO_LARGE, "line ");

	/* The same by merge keys, which put nothing out. */
	buf_reset(&yaml);
	buf_puts(&yaml, "a0: &a0 {x: 1}\n");
	for (i = 1; i <= 30; i++)
		buf_printf(&yaml,
		    "a%d: &a%d {<<: [*a%d,*a%d,*a%d,*a%d,*a%d]}\n", i, i, i - 1,
		    i - 1, i - 1, i - 1, i - 1);
	refuses(yaml.data, yaml.len, ERR_TOO_LARGE, "line ");

	/* More keys than anybody has. */
	buf_reset(&yaml);
	for (i = 0; i < 10001; i++)
		buf_printf(&yaml, "k%d: 1\n", i);
	refuses(yaml.data, yaml.len, ERR_TOO_LARGE, "line 10001: more than");
	buf_free(&yaml);
}
