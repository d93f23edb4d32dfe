#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <lauxlib.h>
#include <lualib.h>

#include "script/sandbox.h"
#include "script/vm_internal.h"

/*
 * Our patterns and those of Lua's own library must agree: on cases picked by
 * hand, and on generated ones.  Both libraries are in one plain state here, as
 * `ours` and `stock`.
 */

static lua_State *L;

static void
setup(void)
{
	L = luaL_newstate();
	cr_assert_not_null(L);
	luaL_openlibs(L);
	lua_getglobal(L, "string");
	lua_setglobal(L, "stock");
	luaL_requiref(L, "ours", luaopen_string, 1);
	lstring_install(L);
	lua_settop(L, 0);
}

static void
teardown(void)
{
	lua_close(L);
}

static void
run(const char *code)
{
	if (luaL_dostring(L, code) != LUA_OK)
		cr_assert_fail("%s", lua_tostring(L, -1));
}

TestSuite(pattern, .init = setup, .fini = teardown, .timeout = 120);

/* One call of both: the same results, or an error of both. */
#define SAME                                                                   \
	"local function show(t) local r = {} for i = 1, t.n do "               \
	"r[i] = type(t[i]) == 'string' and string.format('%q', t[i]):gsub("    \
	"'\\0', '0') or (math.type(t[i]) or type(t[i])) .. tostring(t[i]) "    \
	"end return table.concat(r, '|') end "                                 \
	"function same(name, ...) "                                            \
	"local a = table.pack(pcall(stock[name], ...)) "                       \
	"local b = table.pack(pcall(ours[name], ...)) "                        \
	"if b[1] == false then b[2] = tostring(b[2]):gsub('ours%.', "          \
	"'string.') end "                                                      \
	"local args = show(table.pack(...)) "                                  \
	"if a[1] ~= b[1] or show(a) ~= show(b) then "                          \
	"error(name .. '(' .. args .. ')\\nstock ' .. show(a) .. '\\nours  ' " \
	".. show(b), 0) end end "                                              \
	"function same_gmatch(...) "                                           \
	"local function all(lib, ...) local r = {n = 0} "                      \
	"local f = lib.gmatch(...) for i = 1, 50 do "                          \
	"local t = table.pack(f()) if t[1] == nil then break end "             \
	"r.n = r.n + 1 r[r.n] = show(t) end return r end "                     \
	"local ok, a = pcall(all, stock, ...) "                                \
	"local ok2, b = pcall(all, ours, ...) "                                \
	"if ok ~= ok2 or ok and show(a) ~= show(b) then "                      \
	"error('gmatch(' .. show(table.pack(...)) .. ')', 0) end end "

Test(pattern, agrees_on_the_cases_of_the_manual)
{
	run(SAME
	    "local S = {'', 'a', 'hello world', 'key = value', '  trim  ', "
	    "'THE (quick) fox', 'x^2', 'a.b-c', '1e10', 'äöü', 'a\\0b', "
	    "'((a)(b))', 'f(a,b)g(c)', '%d', ']', '[x]', 'aaa', 'abab'} "
	    "local P = {'', '.', '^', '$', '^$', 'a*', 'a-', 'a+', 'a?', "
	    "'^a', 'l+', '(l)(l)', '()', '()ll()', '(%w+) (%w+)', "
	    "'^%s*(.-)%s*$', '%f[%w]%w+', '%f[%W]', '%b()', '%bxy', '(a*(.)%w"
	    "(%s*))', '(.)%1', '%d+', '[%d%a]+', '[^%s]+', '[]]', '[^]]', "
	    "'[a-z]', '[a-]', '[-a]', '[%-a]', '[%]]', '[a%', '[', '[^', "
	    "'%', '%1', '(', ')', '(()', '%b', '%bx', '%f', '%fa', '\\0', "
	    "'[\\0]', '%z', '%x+', '%g+', '%p', '%c', '%u%l', '.-b', "
	    "'(a)(b)(c)(d)(e)(f)(g)(h)(i)', '^(.)(.)(.)$', '%%', '%.', '-', "
	    "'*', '+', '?', 'a**', '[[]', '[a-z-9]', '[z-a]', '$a', 'a$b', "
	    "'a^', '(^a)', '(a$)', '%w-$', '[%w_]+', '%a%a?', '\\xff', "
	    "('()'):rep(33), ('(a'):rep(33)} "
	    "for _, s in ipairs(S) do for _, p in ipairs(P) do "
	    "for _, init in ipairs{1, 2, 0, -1, -100, 100} do "
	    "same('find', s, p, init) same('match', s, p, init) "
	    "same('find', s, p, init, true) same_gmatch(s, p, init) end "
	    "same('find', s, p) same('match', s, p) same_gmatch(s, p) "
	    "for _, r in ipairs{'', 'x', '%0', '%1', '%2', '%%', '%', '%a', "
	    "'<%0%1>', 5, 1.5, {a = 1, l = false, [''] = 'E'}, true, "
	    "string.upper, function() end, function(...) return "
	    "select('#', ...) end, function() return {} end, "
	    "function() error('e', 0) end} do "
	    "same('gsub', s, p, r) same('gsub', s, p, r, 1) "
	    "same('gsub', s, p, r, 0) same('gsub', s, p, r, -1) end "
	    "end end "
	    "same('gsub', 'x') same('find', 'x') same('find') "
	    "same('match', {}, 'x') same('gsub', 'x', 'x', nil) "
	    "same('find', 12345, 34) same('gsub', 'abc', '%w', '%0%0', 2.0) "
	    "same('gsub', 'abc', '%w', 'x', 'y') same('rep', 'x', 3, ',') "
	    "same('rep', 'x', 0) same('rep', 'x', -1) same('rep', '', 5) "
	    "same('rep') same('rep', 'x') same('rep', 'ab', 2)");
}

Test(pattern, agrees_on_generated_ones)
{
	run(SAME
	    "math.randomseed(20261123) local R = math.random "
	    "local items = {'a', 'b', 'c', '.', '%a', '%d', '%s', '%w', '%A', "
	    "'%u', '[ab]', '[^a]', '[a-c]', '[%d_]', '(', ')', '()', '%1', "
	    "'%2', '%b()', '%bab', '%f[a]', '%f[^b]', '^', '$', '%%', '-', "
	    "'[', ']', '%', '\\0', '1', ' ', '[%', '[^]a]', '\\xe4'} "
	    "local times = {'', '', '', '*', '+', '-', '?'} "
	    "local chars = {'a', 'b', 'c', 'A', '1', ' ', '(', ')', '%', "
	    "'\\0', '\\xe4', '-'} "
	    "local reps = {'x', '%0', '%1', '<%1%2>', '', '%%'} "
	    "for i = 1, 60000 do "
	    "local p, s = {}, {} "
	    "for j = 1, R(0, 6) do p[j] = items[R(#items)] .. "
	    "times[R(#times)] end "
	    "for j = 1, R(0, 12) do s[j] = chars[R(#chars)] end "
	    "p, s = table.concat(p), table.concat(s) "
	    "local init = R(-3, 5) "
	    "same('find', s, p, init) same('match', s, p, init) "
	    "same('find', s, p, init, R(2) == 1) "
	    "same('gsub', s, p, reps[R(#reps)], R(2) == 1 and R(0, 3) or nil) "
	    "same('gsub', s, p, function(...) return select(-1, ...) end) "
	    "same_gmatch(s, p, init) end");
}

Test(pattern, is_about_as_fast_as_the_stock_one)
{
	run("local s = ('key=value; other = 12, '):rep(200) "
	    "local function time(lib) local t = os.clock() "
	    "for i = 1, 40 do for k, v in lib.gmatch(s, '(%w+)%s*=%s*(%w+)') "
	    "do end lib.gsub(s, '%s+', ' ') lib.find(s, 'nothing[x]') end "
	    "return os.clock() - t end "
	    "time(ours) local a, b = time(stock), time(ours) "
	    "assert(b < a * 4, a .. ' ' .. b) "
	    "print(string.format('patterns: stock %.1f ms, ours %.1f ms', a * "
	    "1e3, b * 1e3))");
}
