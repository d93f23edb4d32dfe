#include "unit/script_fixture.h"

TestSuite(sandbox, .init = fix_setup, .fini = fix_teardown, .timeout = 30);

Test(sandbox, what_reaches_the_machine_is_not_there)
{
	fix_good(
	    "for _, name in ipairs{'io', 'debug', 'package', 'load', "
	    "'loadstring', 'loadfile', 'dofile', 'warn', 'unpack', 'arg'} do "
	    "assert(_G[name] == nil, name) end "
	    "for _, name in ipairs{'execute', 'exit', 'getenv', 'remove', "
	    "'rename', 'setlocale', 'tmpname'} do "
	    "assert(os[name] == nil, name) end "
	    "assert(string.dump == nil and ('').dump == nil)");
}

Test(sandbox, an_exempted_script_has_all_of_it)
{
	env.limits.unsafe = 1;
	fix_good(
	    "for _, name in ipairs{'io', 'debug', 'package'} do "
	    "assert(type(_G[name]) == 'table', name) "
	    "assert(require(name) == _G[name], name) end "
	    "for _, name in ipairs{'execute', 'exit', 'getenv', 'remove', "
	    "'rename', 'setlocale', 'tmpname', 'time', 'date', 'clock'} do "
	    "assert(type(os[name]) == 'function', name) end "
	    "assert(load('return 1')() == 1 and "
	    "load(string.dump(function() return 2 end))() == 2) "
	    "assert(not io.open('/nowhere/at/all')) "
	    "assert(pcall(loadfile, '/nowhere') and not pcall(dofile, '/no'))");
}

Test(sandbox, what_holds_the_limits_is_replaced_for_an_exempted_one_too)
{
	env.limits.unsafe = 1;
	fix_good("assert(not pcall(setmetatable, {}, {__gc = print})) "
		 "assert(not pcall(collectgarbage, 'stop')) "
		 "assert(not pcall(function() string.x = 1 end)) "
		 "assert(not pcall(function() os.x = 1 end)) "
		 "assert(warn == nil) "
		 /* By no way round, either. */
		 "assert(package.loaded.string == string) "
		 "assert(package.loaded.os == os and package.loaded._G == _G)");
}

Test(sandbox, an_exempted_script_requires_ours_first)
{
	env.limits.unsafe = 1;
	fix_good(
	    "assert(require 'json' == json and require 'os' == os) "
	    "assert(require 'cjson'.null == json.null) "
	    "package.preload.mine = function(name) return {name} end "
	    "assert(require 'mine'[1] == 'mine') "
	    "assert(require 'mine' == package.loaded.mine) "
	    "local ok, e = pcall(require, 'no.such') "
	    "assert(not ok and e:find('no field package.preload', 1, true))");
}

Test(sandbox, what_is_harmless_is_there)
{
	fix_good(
	    "assert(os.time() > 1e9 and os.date('!%Y', 0) == '1970') "
	    "assert(os.clock() >= 0 and os.difftime(2, 1) == 1) "
	    "assert(math.type(1) == 'integer' and utf8.char(228) == 'ä') "
	    "assert(table.concat({1, 2}, ',') == '1,2') "
	    "assert(select('#', table.unpack({1, 2, 3})) == 3) "
	    "assert(('%d'):format(3) == '3' and _VERSION == 'Lua 5.4') "
	    "assert(collectgarbage('count') > 0 and collectgarbage() == 0) "
	    "assert(type(collectgarbage('step')) == 'boolean')");
}

Test(sandbox, only_harmless_modes_of_the_collector)
{
	fix_good("for _, mode in ipairs{'stop', 'restart', 'generational', "
		 "'incremental', 'setpause', 'setstepmul'} do "
		 "assert(not pcall(collectgarbage, mode), mode) end");
}

Test(sandbox, libraries_are_read_only)
{
	fix_good(
	    "for _, name in ipairs{'string', 'table', 'math', 'utf8', 'os', "
	    "'coroutine', 'json', 'log'} do local lib = _G[name] "
	    "local ok, e = pcall(function() lib.x = 1 end) "
	    "assert(not ok and e:find('is read%-only'), name) "
	    "assert(not pcall(rawset, lib, 'x', 1), name) "
	    "assert(not pcall(setmetatable, lib, {}), name) "
	    "assert(getmetatable(lib) == false, name) "
	    "assert(not pcall(table.insert, lib, 1), name) "
	    "assert(lib.x == nil, name) end "
	    "local n = 0 for k, v in pairs(string) do n = n + 1 end "
	    "assert(n > 10)");
}

Test(sandbox, the_methods_of_strings_are_out_of_reach)
{
	fix_good("assert(getmetatable('') == false) "
		 "assert(not pcall(setmetatable, '', {})) "
		 "assert(not pcall(function() string.upper = nil end)) "
		 "assert(('a'):upper() == 'A') "
		 "assert(not pcall(function() ('').x = 1 end)) "
		 "assert('10' + 1 == 11)");
}

Test(sandbox, finalizers_are_refused)
{
	fix_good(
	    "local ok, e = pcall(setmetatable, {}, {__gc = print}) "
	    "assert(not ok and e:find('__gc is not allowed')) "
	    "assert(not pcall(setmetatable, {}, {__gc = false})) "
	    /* Added later, Lua does not look for it. */
	    "ran = false local mt = {} do local t = setmetatable({}, mt) end "
	    "mt.__gc = function() ran = true end "
	    "assert(not pcall(setmetatable, {}, mt)) "
	    "collectgarbage() assert(not ran) "
	    /* Inherited, neither. */
	    "setmetatable({}, setmetatable({}, {__index = {__gc = function() "
	    "ran = true end}})) collectgarbage() assert(not ran)");
}

Test(sandbox, metatables_can_be_protected)
{
	fix_good("local t = setmetatable({}, {__metatable = 'mine'}) "
		 "assert(getmetatable(t) == 'mine') "
		 "assert(not pcall(setmetatable, t, {})) "
		 "assert(not pcall(setmetatable, t, nil)) "
		 "assert(setmetatable({}, nil) and setmetatable({}, {}))");
}

Test(sandbox, metatables_of_ours_are_out_of_reach)
{
	fix_good("assert(getmetatable(event) == false) "
		 "assert(getmetatable(event.headers) == false) "
		 "assert(getmetatable(json.null) == false) "
		 "assert(getmetatable(json.array{}) == 'json.array') "
		 "assert(not pcall(setmetatable, event, {}))");
}

Test(sandbox, a_mark_of_an_array_gives_way_to_a_metatable)
{
	fix_good("local t = setmetatable(json.decode('[1]'), {__index = {x = "
		 "2}}) assert(t.x == 2 and t[1] == 1)");
}

Test(sandbox, xpcall_gives_error_and_traceback)
{
	fix_good(
	    "local function f(...) error({...}) end "
	    "local ok, e, tb = xpcall(f, function(e, tb) return e, tb end, 1, "
	    "2) assert(not ok and e[2] == 2) "
	    "assert(tb:find('scripts/on_x.lua:1: in upvalue', 1, true) or "
	    "tb:find('scripts/on_x.lua:1: in', 1, true)) "
	    "local ok, a, b = xpcall(function(...) return ... end, print, 3, "
	    "4) assert(ok and a == 3 and b == 4) "
	    "local ok, e = xpcall(error, function(e) return e .. '!' end, 'x') "
	    "assert(not ok and e == 'x!') "
	    "local ok, e = xpcall(error, function(e) error('in handler', 0) "
	    "end, 'x') assert(not ok and e == 'in handler') "
	    "assert(not pcall(xpcall, print)) "
	    /* What it calls may wait. */
	    "local ok, v = xpcall(function() sleep(0) return 5 end, print) "
	    "assert(ok and v == 5) "
	    "local ok, v = xpcall(function() sleep(0) error('late', 0) end, "
	    "function(e) sleep(0) return e .. '?' end) "
	    "assert(not ok and v == 'late?')");
}

Test(sandbox, coroutines_are_as_in_lua)
{
	fix_good(
	    "local co = coroutine.create(function(a, b)\n"
	    "local c = coroutine.yield(a + b) return c * 2 end)\n"
	    "local ok, v = coroutine.resume(co, 1, 2) assert(ok and v == 3)\n"
	    "assert(coroutine.status(co) == 'suspended')\n"
	    "ok, v = coroutine.resume(co, 10) assert(ok and v == 20)\n"
	    "assert(coroutine.status(co) == 'dead')\n"
	    "ok, v = coroutine.resume(co) assert(not ok and v == 'cannot "
	    "resume dead coroutine')\n"
	    "assert(coroutine.close(co) == true)\n"
	    "local w = coroutine.wrap(function() error('bad', 0) end)\n"
	    "ok, v = pcall(w) assert(not ok and v:find('bad'))\n"
	    "ok, v = pcall(w) assert(not ok and v:find('dead coroutine'))\n"
	    "local e = {} w = coroutine.wrap(function() error(e) end)\n"
	    "ok, v = pcall(w) assert(v == e)\n"
	    "local closed co = coroutine.create(function() local x <close> =\n"
	    "setmetatable({}, {__close = function() closed = true error('c',\n"
	    "0) end}) coroutine.yield() end) coroutine.resume(co)\n"
	    "ok, v = coroutine.close(co) assert(closed and not ok and v ==\n"
	    "'c')\n"
	    "assert(not pcall(coroutine.close, coroutine.running()))\n"
	    "assert(not pcall(coroutine.resume, 1))\n"
	    "assert(not pcall(coroutine.wrap, 1))\n"
	    "assert(coroutine.isyieldable() == false)\n"
	    "assert(coroutine.wrap(function() return\n"
	    "coroutine.isyieldable() end)())\n"
	    "local sum = 0 for i in coroutine.wrap(function() for i = 1, 10 "
	    "do\n"
	    "coroutine.yield(i) end end) do sum = sum + i end assert(sum ==\n"
	    "55)\n"
	    "local self co = coroutine.create(function() return\n"
	    "coroutine.resume(self) end) self = co\n"
	    "ok, v, e = coroutine.resume(co) assert(ok and v == false and e "
	    "==\n"
	    "'cannot resume non-suspended coroutine')");
}

Test(sandbox, table_functions_are_as_in_lua)
{
	fix_good(
	    "local t = {1, 2, 3} table.insert(t, 4) table.insert(t, 1, 0) "
	    "assert(table.concat(t, ' ') == '0 1 2 3 4') "
	    "assert(table.remove(t) == 4 and table.remove(t, 1) == 0) "
	    "assert(table.concat(t, ' ') == '1 2 3') "
	    "assert(table.remove({}) == nil and table.remove({}, 0) == nil) "
	    "assert(table.remove(t, 4) == nil) "
	    "assert(not pcall(table.remove, t, 5)) "
	    "assert(not pcall(table.insert, t, 5, 1)) "
	    "assert(not pcall(table.insert, t, 0, 1)) "
	    "assert(not pcall(table.insert, t)) "
	    "assert(not pcall(table.insert, t, 1, 2, 3)) "
	    "assert(not pcall(table.insert, nil, 1)) "
	    "assert(table.concat(table.move({1, 2, 3}, 2, 3, 1), ' ') == '2 3 "
	    "3') "
	    "assert(table.concat(table.move({1, 2, 3}, 1, 3, 2), ' ') == '1 1 "
	    "2 3') "
	    "assert(table.concat(table.move({1, 2, 3}, 1, 3, 3, {9, 9}), ' ') "
	    "== '9 9 1 2 3') "
	    "assert(#table.move({1}, 1, 0, 5) == 1) "
	    "assert(not pcall(table.move, {}, 1, math.maxinteger, 2)) "
	    "assert(not pcall(table.move, {}, math.mininteger, 1, 2)) "
	    "t = {3, 1, 2} table.sort(t) assert(table.concat(t) == '123') "
	    "table.sort(t, function(a, b) return a > b end) "
	    "assert(table.concat(t) == '321') "
	    "assert(not pcall(table.sort, {1, 'x'})) "
	    "assert(('ab'):rep(3, '-') == 'ab-ab-ab' and ('x'):rep(0) == '' "
	    "and ('x'):rep(-1) == '')");
}

Test(sandbox, cjson_is_there_with_its_settings_frozen)
{
	fix_good(
	    "local cjson = require 'cjson' local safe = require 'cjson.safe' "
	    "assert(cjson.null == json.null) "
	    "assert(cjson.decode('[1,null]')[2] == json.null) "
	    "assert(cjson.encode({a = 1}) == '{\"a\":1}') "
	    "assert(json.encode(cjson.decode('{\"a\":null}')) == "
	    "'{\"a\":null}') "
	    "assert(cjson.encode({json.null}) == '[null]') "
	    "assert(select(2, safe.decode('[')) ~= nil) "
	    "for _, lib in ipairs{cjson, safe} do "
	    "assert(not pcall(lib.decode_max_depth, 1 << 30)) "
	    "assert(not pcall(lib.encode_max_depth, 1 << 30)) "
	    "assert(not pcall(lib.encode_sparse_array, true)) "
	    "assert(lib.decode_max_depth() == 1000 and lib.new == nil) "
	    "assert(not pcall(function() lib.encode = 1 end)) end "
	    "assert(not pcall(cjson.decode, ('['):rep(100000))) "
	    "local t = {} for i = 1, 100000 do t = {t} end "
	    "assert(not pcall(cjson.encode, t))");
}

Test(sandbox, json_depth_and_length_are_limited)
{
	env.limits.cpu_ms = 5000;
	fix_good("local v, e, at = json.decode(('['):rep(1000000)) "
		 "assert(v == nil and type(e) == 'string' and at > 500) "
		 "local t = {} for i = 1, 100000 do t = {t} end "
		 "local ok, e = pcall(json.encode, t) "
		 "assert(not ok and e:find('nested too deep')) "
		 "local ok, e = pcall(json.decode, '[' .. ('1,'):rep(1000000) "
		 ".. '1]') "
		 "assert(not ok and e:find('not enough memory'))");
}

Test(sandbox, c_memory_counts)
{
	env.limits.cpu_ms = 5000;
	/* 5 MB fit, and their JSON as well; six times as much does not. */
	fix_good("local s = ('x'):rep(2500000) "
		 "local cjson = require 'cjson' "
		 "assert(#cjson.encode({s}) == 2500004) "
		 "assert(#json.encode({s}) == 2500004) "
		 "local ok, e = pcall(cjson.encode, {s, s, s, s, s, s}) "
		 "assert(not ok and e:find('not enough memory')) "
		 "ok, e = pcall(json.encode, {s, s, s, s, s, s}) "
		 "assert(not ok and e:find('not enough memory')) "
		 "assert(#cjson.encode({s}) == 2500004) "
		 "assert(cjson.decode('[' .. cjson.encode(s) .. ']')[1] == s)");
}

Test(sandbox, c_memory_breaks_the_limit)
{
	env.limits.cpu_ms = 5000;
	fix_bad("local s = ('x'):rep(2500000) "
		"require 'cjson'.encode({s, s, s, s, s, s})",
	    "memory limit of 16MiB exceeded");
}

Test(sandbox, ids_of_16_digits_stay_whole)
{
	fix_load("function on_x(event) "
		 "local url = '/projects/' .. event.data.project .. '/' "
		 "assert(url == '/projects/4505281256062976/', url) "
		 "assert(math.type(event.data.project) == 'integer') "
		 "assert(json.encode(event.data) == "
		 "'{\"project\":4505281256062976}') end");
	fix_start(1, "{\"data\":{\"project\":4505281256062976}}");
	cr_expect_eq(outcomes[1].result, PROTO_DONE, "%s", outcomes[1].error);
}

Test(sandbox, null_is_told_by_name)
{
	fix_bad("local n = json.null local _ = n.title",
	    "attempt to index json.null (field 'title')");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_good("assert(tostring(json.null) == 'null')");
}

Test(sandbox, globals_of_a_script_are_its_own)
{
	fix_good("assert(_G._G == _G) x = 1 assert(_G.x == 1) "
		 "setmetatable(_G, {__index = function(_, k) return k end}) "
		 "assert(undefined == 'undefined')");
}
