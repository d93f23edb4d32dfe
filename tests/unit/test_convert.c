#include <stdlib.h>

#include <lua.h>

#include "base/err.h"
#include "base/file.h"
#include "script/convert.h"
#include "script/vm_internal.h"
#include "unit/script_fixture.h"
#include "json/jdoc.h"

TestSuite(convert, .init = fix_setup, .fini = fix_teardown, .timeout = 60);

Test(convert, json_survives_a_round_trip)
{
	static const char *const texts[] = {"[]", "{}", "[[],{}]", "null",
	    "true", "false", "0", "-1", "9223372036854775807",
	    "-9223372036854775808", "4505281256062976", "1.5", "1.0", "1e+300",
	    "\"\"", "\"\\u0000\"", "\"\xC3\xA4\"", "[null]", "[1,null,2]",
	    "{\"a\":[]}", "{\"a\":{}}", "{\"1\":1}", "[{\"a\":[1,[2,[3]]]}]",
	    "{\"\":\"\"}", "0.1", "-0.0", "1700000000.1234567"};
	char *source;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		source = mem_printf(
		    "local t = %s[==[%s]==] local v = json.decode(t) "
		    "local back = json.encode(v) "
		    "assert(back == t, back .. ' ' .. t)",
		    "", texts[i]);
		fix_good(source);
		free(source);
		proto_outcome_clear(&outcomes[1]);
		ended[1] = 0;
	}
}

Test(convert, values_have_the_types_of_lua)
{
	fix_good(
	    "local v = json.decode('[1,1.0,18446744073709551615,null,{},[]]') "
	    "assert(math.type(v[1]) == 'integer' and math.type(v[2]) == "
	    "'float') assert(v[3] == 18446744073709551615.0) "
	    "assert(v[4] == json.null and v[4] ~= nil and #v == 6) "
	    "assert(next(v[5]) == nil and #v[6] == 0) "
	    "assert(json.decode('{\"a\":1,\"a\":2}').a == 2)");
}

/* Push an object of ${n} names that differ only in their middle, where nobody
 * looks who finds names by their ends; see that each has its own value. */
static void
push_alike(lua_State *L, struct buf *text, int from, int n)
{
	struct jdoc doc = {0};
	struct err err;
	char name[32];
	int i;

	buf_reset(text);
	for (i = from; i < from + n; i++)
		buf_printf(text, "%c\"name-%04d-name\":%d",
		    i == from ? '{' : ',', i, i);
	buf_puts(text, ",\"\":-1,\"a\":-2,\"a\\u0000b\":-3}");
	cr_assert_eq(jdoc_parse(&doc, text->data, text->len, NULL, &err), 0,
	    "%s", err.msg);
	convert_push(L, jdoc_root(&doc));
	for (i = from; i < from + n; i++) {
		(void)snprintf(name, sizeof(name), "name-%04d-name", i);
		cr_assert_eq(
		    lua_getfield(L, -1, name), LUA_TNUMBER, "%s", name);
		cr_assert_eq(lua_tointeger(L, -1), i);
		lua_pop(L, 1);
	}
	(void)lua_getfield(L, -1, "");
	(void)lua_getfield(L, -2, "a");
	(void)lua_pushlstring(L, "a\0b", 3);
	(void)lua_rawget(L, -4);
	cr_expect_eq(lua_tointeger(L, -3), -1);
	cr_expect_eq(lua_tointeger(L, -2), -2);
	cr_expect_eq(lua_tointeger(L, -1), -3);
	lua_pop(L, 4);
	jdoc_free(&doc);
}

Test(convert, names_that_look_alike_are_told_apart)
{
	lua_State *L = luaL_newstate();
	struct buf text = BUF_INIT;
	int round;

	convert_open(L);
	for (round = 0; round < 3; round++) {
		push_alike(L, &text, 0, 700);
		/* Each text is where the one before it was. */
		push_alike(L, &text, 5, 1);
		push_alike(L, &text, 6, 1);
		/* What is known outlives the tables that had it. */
		(void)lua_gc(L, LUA_GCCOLLECT);
		push_alike(L, &text, 699, 1);
		push_alike(L, &text, 350, 700);
		(void)lua_gc(L, LUA_GCCOLLECT);
	}
	cr_expect_eq(lua_gettop(L), 0);
	lua_close(L);
	buf_free(&text);
}

Test(convert, an_array_stays_one_when_a_script_changes_it)
{
	fix_good("local t = json.decode('{\"tags\":[1]}') "
		 "table.remove(t.tags) "
		 "assert(json.encode(t) == '{\"tags\":[]}') "
		 "t.tags[1] = 'x' assert(json.encode(t) == "
		 "'{\"tags\":[\"x\"]}')");
}

Test(convert, lua_tables_become_what_they_look_like)
{
	fix_good(
	    "assert(json.encode({}) == '{}') "
	    "assert(json.encode(json.array{}) == '[]') "
	    "assert(json.encode(json.array()) == '[]') "
	    "assert(json.encode({1, 2}) == '[1,2]') "
	    "assert(json.encode({a = {b = {}}}) == '{\"a\":{\"b\":{}}}') "
	    "assert(json.encode({json.null}) == '[null]') "
	    "assert(json.encode(nil) == 'null') "
	    "assert(json.encode('a\"b\\n') == '\"a\\\\\"b\\\\n\"') "
	    "assert(json.encode(2^53) == '9007199254740992.0' or "
	    "json.encode(2^53) == '9.007199254740992e15', "
	    "json.encode(2^53)) "
	    "local t = {} assert(json.encode({t, t}) == '[{},{}]') "
	    /* Metamethods have no say. */
	    "assert(json.encode(setmetatable({1}, {__index = error, __len = "
	    "error, __pairs = error})) == '[1]')");
}

Test(convert, errors_name_the_path)
{
	static const char *const cases[][2] = {
	    {"json.encode({data = {items = {1, {fn = print}}}})",
		"cannot encode data.items[2].fn: it is a function"},
	    {"json.encode({a = 0/0})", "cannot encode a: it is not a number"},
	    {"json.encode({a = {math.huge}})",
		"cannot encode a[1]: it is infinite"},
	    {"local t = {} t.self = {t} json.encode(t)",
		"cannot encode self[1]: it contains itself"},
	    {"json.encode({x = {1, 2, a = 3}})",
		"cannot encode x: a table with both positions and names"},
	    {"json.encode({x = {a = 3, 1}})",
		"cannot encode x: a table with both positions and names"},
	    {"json.encode({x = {[1] = 1, [11] = 2}})",
		"cannot encode x: an array with holes"},
	    {"json.encode({x = {[true] = 1}})",
		"cannot encode x: a key is neither"},
	    {"json.encode({x = {[1.5] = 1}})",
		"cannot encode x: a key is neither"},
	    {"json.encode({x = {[-1] = 1}})",
		"cannot encode x: a key is neither"},
	    {"json.encode(print)", "cannot encode this value"},
	    {"json.encode(coroutine.create(print))", "it is a thread"},
	    {"local t = json.array{1} t.x = 1 json.encode(t)",
		"both positions and names"},
	    {"json.encode()", "value expected"},
	    {"json.array(setmetatable({}, {}))", "has a metatable"},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fix_bad(cases[i][0], cases[i][1]);
		proto_outcome_clear(&outcomes[1]);
		ended[1] = 0;
	}
}

Test(convert, bad_text_is_nil_message_offset)
{
	fix_good("local v, e, at = json.decode('[1,') "
		 "assert(v == nil and type(e) == 'string' and at == 3) "
		 "v, e, at = json.decode('') assert(v == nil and at == 0) "
		 "v, e, at = json.decode('{\"a\":1} x') assert(at == 8) "
		 "v, e, at = json.decode('{\"a\":01}') assert(v == nil) "
		 "assert(not pcall(json.decode))");
}
