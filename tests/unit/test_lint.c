/* Misspelt globals and handlers, found without running a line. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/compiler.h"

#include "lint/lint.h"

static const char *const globals[] = {
    "print", "http", "log", "json", "string", "table", "ipairs", "require"};
static const char *const handlers[] = {
    "on_issue", "on_error", "on_comment", "on_event", "on_alert"};
static const struct lint_known known = {
    globals, NELEMS(globals), handlers, NELEMS(handlers), NULL};

static struct buf out;

static void
cleanup(void)
{
	buf_free(&out);
}

TestSuite(lint, .fini = cleanup);

static void
report(void *cookie, unsigned int line, unsigned int column, const char *code,
    const char *message)
{
	cr_expect_gt(strlen(code), 5);
	buf_printf(cookie, "%u:%u: %s\n", line, column, message);
}

/* All findings, a line each.  The source is a copy of exactly its bytes, so
 * that ASan sees a read behind it. */
static const char *
lint_n(const char *source, size_t len)
{
	char *copy = malloc(len == 0 ? 1 : len);

	memcpy(copy, source, len);
	buf_reset(&out);
	lint_check((struct str){copy, len}, &known, report, &out);
	free(copy);
	return buf_text(&out);
}

static const char *
lint(const char *source)
{
	return lint_n(source, strlen(source));
}

Test(lint, a_good_script_has_no_findings)
{
	cr_expect_str_eq(
	    lint("-- a handler\n"
		 "local function title(event)\n"
		 "  return event.data.issue.title or '?'\n"
		 "end\n"
		 "function on_issue(event)\n"
		 "  for i, tag in ipairs(event.data.issue.tags) do\n"
		 "    log.info(title(event), { tag = tag, n = i })\n"
		 "  end\n"
		 "  local res <const> = http.post('https://x', { json = {} })\n"
		 "  return res and res:json()\n"
		 "end\n"),
	    "");
	cr_expect_str_eq(lint(""), "");
}

Test(lint, a_global_that_nobody_defined_is_found)
{
	cr_expect_str_eq(
	    lint("local x = foo"), "1:11: undefined global 'foo'\n");
}

Test(lint, what_was_meant_is_named)
{
	static const struct {
		const char *source, *want;
	} cases[] = {
	    {"htp.get('x')",
		"1:1: undefined global 'htp' (did you mean 'http'?)\n"},
	    {"\n\n  prnt(1)",
		"3:3: undefined global 'prnt' (did you mean 'print'?)\n"},
	    {"function on_issue(event)\n  print(evnet.id)\nend",
		"2:9: undefined global 'evnet' (did you mean 'event'?)\n"},
	    {"local x = nill",
		"1:11: undefined global 'nill' (did you mean 'nil'?)\n"},
	    {"local x = flase",
		"1:11: undefined global 'flase' (did you mean 'false'?)\n"},
	    {"counter = 0\nprint(conuter)",
		"2:7: undefined global 'conuter' (did you mean 'counter'?)\n"},
	    {"print(something_else)",
		"1:7: undefined global 'something_else'\n"},
	    {"print(q)", "1:7: undefined global 'q'\n"},
	    {"local kv2 = 1\nprint(kv)", "2:7: undefined global 'kv'\n"},
	    {"do local inner_name = 1 end\nprint(inner_nam)",
		"2:7: undefined global 'inner_nam'\n"},
	};
	size_t i;

	for (i = 0; i < NELEMS(cases); i++)
		cr_expect_str_eq(lint(cases[i].source), cases[i].want);
}

Test(lint, every_way_to_read_is_seen)
{
	static const char *const sources[] = {
	    "print(missing)",
	    "missing()",
	    "missing 'x'",
	    "missing \"x\"",
	    "missing [[x]]",
	    "missing {}",
	    "missing:method()",
	    "missing.x = 1",
	    "missing[1] = 1",
	    "missing.a.b.c()",
	    "function missing.f() end",
	    "function missing:f() end",
	    "function missing.a.b:f() end",
	    "local t = { missing }",
	    "local t = { a = missing }",
	    "local t = { [missing] = 1 }",
	    "local t = { missing = missing }",
	    "local t = { 1, 2; missing, }",
	    "local t = { missing.x }",
	    "local t = { missing == 1 }",
	    "local t = { missing() }",
	    "local x <const> = missing",
	    "local x <close> = missing",
	    "local a, b = 1, missing",
	    "local missing = missing",
	    "local x = -missing",
	    "local x = not missing",
	    "local x = #missing",
	    "local x = ~missing",
	    "local x = - - not ~ # missing",
	    "local x = 1 + missing",
	    "local x = 1 // missing",
	    "local x = 1 ~ missing",
	    "local x = 1 ~= missing",
	    "local x = 1 << missing >> 2 & 3 | 4",
	    "local x = 1 .. missing .. 'x'",
	    "local x = 2 ^ - missing",
	    "local x = 1 < missing",
	    "local x = 1 <= missing",
	    "local x = (missing)",
	    "local x = (missing).y",
	    "local x = (((missing)))",
	    "local x = ('x'):rep(missing)",
	    "local x = ... == missing",
	    "local x = function() return missing end",
	    "local x = function(...) return ..., missing end",
	    "local function f() return missing end",
	    "return missing",
	    "return missing;",
	    "return 1, missing()",
	    "if missing then end",
	    "if 1 then elseif missing then end",
	    "if 1 then else print(missing) end",
	    "while missing do end",
	    "while 1 do print(missing) break end",
	    "repeat until missing",
	    "repeat print(missing) until 1",
	    "for i = missing, 2 do end",
	    "for i = 1, 2, missing do end",
	    "for k, v in missing do end",
	    "for k in ipairs(missing) do end",
	    "for i = 1, 2 do print(missing) end",
	    "do print(missing) end",
	    "do do do print(missing) end end end",
	    "goto out print(missing) ::out::",
	    ";;; print(missing) ;;;",
	    "local t = {} t[missing] = 1",
	    "local t = {} t.x, t.y = 1, missing",
	    "local t = {} t.f(1)(missing)",
	    "local t = {} t:f { missing }",
	    "x = missing",
	    "x, y = 1, missing",
	    "#!/usr/bin/lua\nprint(missing)",
	    "--[==[ ]] ]=] ]==] print(missing)",
	    "--[[\n]]print(missing)",
	    "--[ no long one\nprint(missing)",
	    "--\nprint(missing)",
	    "print(0x1p4, 3., .5, 0xA.8p-1, 1e+5, 3e-2, missing)",
	    "print('\\'', \"\\\"\", '\\\n', '\\z  \n x', '\\x41\\065\\u{41}', "
	    "missing)",
	    "print([==[ ]] ]=] ]==], missing)",
	    "print [[\nmissing2\n]] print(missing)",
	    "local a <const>, b <close> = missing",
	    "print(_G.x, missing)",
	};
	size_t i;

	for (i = 0; i < NELEMS(sources); i++) {
		cr_expect_not_null(
		    strstr(lint(sources[i]), "undefined global 'missing'"),
		    "%s: %s", sources[i], buf_text(&out));
		cr_expect_eq(strchr(out.data, '\n'), out.data + out.len - 1,
		    "%s: more than one: %s", sources[i], out.data);
	}
}

Test(lint, what_is_no_global_read_is_left_alone)
{
	static const char *const sources[] = {
	    "local a a = 1 print(a)",
	    "local function f() return f end",
	    "local f = 1 local g = function() return f end print(g)",
	    "local function f(a, b, ...) return a, b, ... end print(f)",
	    "local t = {} function t.f(a) return a, t end",
	    "local t = {} function t:m() return self end",
	    "local t = {} function t.a.b:m(x) return self, x end",
	    "for i = 1, 3 do print(i) end",
	    "for k, v in ipairs({}) do print(k, v) end",
	    "repeat local done = 1 until done",
	    "local x <const> = 1 print(x)",
	    "local x <close>, y = nil print(x, y)",
	    "print(json.anything.goes, json['x'], json:m())",
	    "local t = { a = 1, ['b'] = 2, 3 } print(t.a)",
	    "a = 1 print(a)",
	    "print(a) a = 1",
	    "function g() return g end",
	    "local function f() h = 1 end print(h, f)",
	    "a, b.c, d = 1, 2, 3 b = {} print(a, d)",
	    "_G.a = 1 print(a)",
	    "_G['a'] = 1 print(a)",
	    "function _G.a() end print(a)",
	    "if _G.feature then print(_G['other']) end",
	    "goto continue ::continue::",
	    "local goto1, continue = 1, 2 print(goto1, continue)",
	    "while 1 do goto continue ::continue:: end",
	    "return",
	    "return;",
	    "local x = 5 // 2 | 1 & 3 ~ 4 << 1 >> 1 print(x)",
	    "local s = 'undefined' .. [[undefined2]] print(s)",
	    "-- undefined\n--[[ undefined2 ]] --[==[\n]==]",
	    "local a = { f = function(self) return self end } print(a)",
	    "do local _ENV = { x = 1 } print(x) end",
	    "local function sandbox(_ENV) return x end print(y)",
	    "_ENV = {} print(x)",
	    "for _ENV in ipairs({}) do print(x) end",
	    "setmetatable(_G, {}) print(anything)",
	    "local env = _ENV print(anything)",
	    "for k in pairs(_G) do print(k) end",
	    "_G[print('x')] = 1 print(anything)",
	    "_G['a' .. 'b'] = 1 print(ab)",
	};
	size_t i;

	for (i = 0; i < NELEMS(sources); i++)
		cr_expect_str_eq(
		    lint(sources[i]), "", "%s: %s", sources[i], buf_text(&out));
}

Test(lint, a_local_ends_with_its_block)
{
	static const char *const sources[] = {
	    "do local aa = 1 end print(aa)",
	    "if 1 then local aa end print(aa)",
	    "if 1 then local aa else print(aa) end",
	    "while 1 do local aa end print(aa)",
	    "repeat local aa until 1 print(aa)",
	    "for aa = 1, 2 do end print(aa)",
	    "for aa in ipairs({}) do end print(aa)",
	    "for i = aa, 2 do local aa end",
	    "local function f(aa) end print(aa)",
	    "local x = function(aa) end print(aa)",
	    "local function f() local aa end print(aa)",
	    "print(aa) local aa",
	    "local aa = aa",
	    "local aa = function() return aa end",
	    "function json.f() return self_ end local self_",
	};
	size_t i;

	for (i = 0; i < NELEMS(sources); i++)
		cr_expect_not_null(strstr(lint(sources[i]), "undefined global"),
		    "%s", sources[i]);
	cr_expect_not_null(strstr(lint("function json.f() return self end"),
	    "undefined global 'self'"));
}

Test(lint, places_are_lines_and_bytes_from_one)
{
	cr_expect_str_eq(lint("xyzzy()"), "1:1: undefined global 'xyzzy'\n");
	cr_expect_str_eq(
	    lint("\r\n\n\r\r\n\n xyzzy()"), "5:2: undefined global 'xyzzy'\n");
	cr_expect_str_eq(lint("local s = [[\n\n]] .. '\\\n' .. '\\z\n \n'\n"
			      "\txyzzy()"),
	    "7:2: undefined global 'xyzzy'\n");
	cr_expect_str_eq(
	    lint("--[[\n\n]] xyzzy()"), "3:4: undefined global 'xyzzy'\n");
	cr_expect_str_eq(lint("aaaaaaa()\nbbbbbbb()\naaaaaaa()"),
	    "1:1: undefined global 'aaaaaaa'\n"
	    "2:1: undefined global 'bbbbbbb'\n"
	    "3:1: undefined global 'aaaaaaa'\n");
}

Test(lint, misspelt_handlers_are_found)
{
	static const struct {
		const char *source, *want;
	} cases[] = {
	    {"function on_isue(event) end",
		"1:10: unknown handler 'on_isue', did you mean 'on_issue'?\n"},
	    {"on_erorr = function(event) end",
		"1:1: unknown handler 'on_erorr', did you mean 'on_error'?\n"},
	    {"local x\nx, on_comments = 1, 2",
		"2:4: unknown handler 'on_comments', did you mean "
		"'on_comment'?\n"},
	    {"_G.on_isue = print",
		"1:4: unknown handler 'on_isue', did you mean 'on_issue'?\n"},
	    {"function on_zebra_crossing() end",
		"1:10: unknown handler 'on_zebra_crossing'\n"},
	    {"function on_isue() end on_isue()",
		"1:10: unknown handler 'on_isue', did you mean 'on_issue'?\n"},
	    {"function on_issue() end function on_event() end", ""},
	    {"local function on_isue() end", ""},
	    {"local on_isue = 1 on_isue = 2", ""},
	    {"local t = {} function t.on_isue() end", ""},
	    {"json.on_isue = 1", ""},
	    {"function onissue() end function on_() end", ""},
	    /* A helper that the script calls itself. */
	    {"function on_zebra_crossing() end on_zebra_crossing()", ""},
	    {"local _ENV = {} function on_isue() end", ""},
	};
	size_t i;

	for (i = 0; i < NELEMS(cases); i++)
		cr_expect_str_eq(lint(cases[i].source), cases[i].want, "%s: %s",
		    cases[i].source, buf_text(&out));
}

Test(lint, of_what_is_no_lua_nothing_is_said)
{
	static const char *const sources[] = {
	    "print(missing",
	    "print(missing))",
	    "missing() end",
	    "if missing then",
	    "missing() 'unfinished",
	    "missing() 'new\nline'",
	    "missing() [[unfinished",
	    "missing() --[[unfinished",
	    "missing() @",
	    "missing() $x",
	    "missing() 3x",
	    "missing() !",
	    "missing() \x01",
	    "missing() \xC3\xA9 = 1",
	    "missing() for = 1",
	    "missing() local 1",
	    "missing() local x <",
	    "missing() local x <const",
	    "missing() function",
	    "missing() function f(a,",
	    "missing() function f(1) end",
	    "missing() goto",
	    "missing() ::x",
	    "missing() x = ",
	    "missing() x, y",
	    "missing() x = {1, 2",
	    "missing() x = {[1] 2}",
	    "missing() return 1 x = 2",
	    "missing() until 1",
	    "missing() else",
	    "missing() x.1 = 2",
	    "missing() x:y = 2",
	    "missing() a.b:c",
	    "missing() repeat end",
	    "\x1BLua",
	};
	size_t i;

	for (i = 0; i < NELEMS(sources); i++)
		cr_expect_str_eq(
		    lint(sources[i]), "", "%s: %s", sources[i], buf_text(&out));
	cr_expect_str_eq(lint_n("missing() \0", 11), "");
}

Test(lint, every_beginning_of_a_script_is_no_harm)
{
	static const char source[] =
	    "#!x\nlocal a <const>, b = 0x1p4, [==[x]==] --[[c]]\n"
	    "function a.b:c(...) return {..., [1]=2, x=3; 'a\\z \\x41'} end\n"
	    "for i, j in f(\"q\") do if i ~= j then goto l elseif not i then "
	    "else end ::l:: end\nrepeat a[1], b.c = 1 // 2 .. 3 until x";
	size_t len;

	for (len = 0; len < sizeof(source); len++)
		(void)lint_n(source, len);
}

/* ${n} times ${open}, ${middle}, ${n} times ${close}. */
static const char *
lint_nested(
    const char *open, const char *middle, const char *close, unsigned int n)
{
	struct buf source = BUF_INIT;
	unsigned int i;

	for (i = 0; i < n; i++)
		buf_puts(&source, open);
	buf_puts(&source, middle);
	for (i = 0; i < n; i++)
		buf_puts(&source, close);
	(void)lint_n(source.data, source.len);
	buf_free(&source);
	return buf_text(&out);
}

Test(lint, deep_nesting_is_read_up_to_the_limit_of_lua)
{
	static const struct {
		const char *open, *middle, *close;
	} cases[] = {
	    {"do ", "missing()", " end"},
	    {"while 1 do ", "missing()", " end"},
	    {"if 1 then ", "missing()", " end"},
	    {"for i = 1, 2 do ", "missing()", " end"},
	    {"repeat ", "missing()", " until 1"},
	    {"local function f() ", "missing()", " end"},
	    {"print(", "missing", ")"},
	    {"print{", "missing", "}"},
	    {"print[", "missing", "]()"},
	    {"print((function() ", "missing()", " end)())"},
	};
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		cr_expect_str_neq(lint_nested(cases[i].open, cases[i].middle,
				      cases[i].close, 60),
		    "", "%s", cases[i].open);
		cr_expect_str_eq(lint_nested(cases[i].open, cases[i].middle,
				     cases[i].close, 100000),
		    "", "%s", cases[i].open);
		cr_expect_str_eq(
		    lint_nested(cases[i].open, "", "", 100000), "");
	}
}

Test(lint, long_chains_are_not_deep)
{
	cr_expect_str_neq(
	    lint_nested("print(- - - - 1)", "missing()", "", 20000), "");
	cr_expect_str_neq(
	    lint_nested("print(1 + 2)", "missing()", "", 20000), "");
	cr_expect_str_neq(
	    lint_nested("print(1) --[[x]] ", "missing()", "", 20000), "");
	cr_expect_str_neq(lint_nested("", "missing()", ".x()", 20000), "");
}

Test(lint, hostile_sources_end_soon, .timeout = 20)
{
	/* More names than Lua takes: nothing is said. */
	cr_expect_str_eq(lint_nested("local a ", "missing()", "", 100000), "");
	cr_expect_str_eq(lint_nested("local a, a", "", "", 100000), "");
	cr_expect_str_eq(lint_nested("[=", "", "", 100000), "");
	cr_expect_str_eq(lint_nested("--[=[ ]", "", "", 100000), "");
	cr_expect_str_eq(lint_nested("--[=====[ ]====", "", "", 50000), "");
	cr_expect_str_eq(lint_nested("x=", "", "", 100000), "");
	(void)lint_nested("aaaaaaa()", "", "bbbbbbb = 1 ", 30000);
}

Test(lint, no_source_is_told_more_than_100_times)
{
	size_t i, lines = 0;

	(void)lint_nested("missing()\n", "", "", 1000);
	for (i = 0; i < out.len; i++)
		lines += out.data[i] == '\n';
	cr_expect_eq(lines, LINT_MAX_REPORTS);
}

static void
put_name(void *cookie, struct str name)
{
	buf_put(cookie, name.data, name.len);
	buf_putc(cookie, ' ');
}

Test(lint, globals_are_named_once_and_sorted)
{
	lint_globals(STR("b = 1 a = 2 local c = 3 function d() e = 1 c = 2 end "
			 "a = 3 _G.f = 1 g.h = 2 function i.j() end"),
	    put_name, &out);
	cr_expect_str_eq(buf_text(&out), "a b d e f ");
	buf_reset(&out);
	lint_globals(STR("a = 1 ("), put_name, &out);
	lint_globals((struct str){NULL, 0}, put_name, &out);
	cr_expect_str_eq(buf_text(&out), "");
}
