#include "base/clock.h"
#include "unit/script_fixture.h"

/*
 * Every way of getting past the CPU and memory limits that has been tried on
 * this kind of sandbox.  Each is a body of a handler; it must end, in time, as
 * an error of that handler, and the next handler must run as if nothing were.
 */

TestSuite(limits, .init = fix_setup, .fini = fix_teardown, .timeout = 60);

/* A sanitizer makes everything slower; the limit itself is CPU time. */
#define IN_TIME_MS 5000

static void
must_be_killed(const char *body, const char *why)
{
	uint64_t begun = clock_mono_ms();
	char *source = mem_printf("function on_x(event) if event.data.n == 2 "
				  "then return end %s end",
	    body);
	struct proto_outcome *o = fix_run(source);

	free(source);
	cr_expect_eq(o->result, PROTO_ERROR, "%s", body);
	cr_expect_not_null(o->error == NULL ? NULL : strstr(o->error, why),
	    "%s\n%s", body, o->error);
	cr_expect_lt(clock_mono_ms() - begun, IN_TIME_MS, "%s", body);
	fix_start(2, "{\"data\":{\"n\":2}}");
	cr_expect_eq(
	    outcomes[2].result, PROTO_DONE, "%s\n%s", body, outcomes[2].error);
	proto_outcome_clear(&outcomes[1]);
	proto_outcome_clear(&outcomes[2]);
	ended[1] = ended[2] = 0;
}

static void
must_stop(const char *const *bodies, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		must_be_killed(bodies[i], "CPU limit of 100ms exceeded");
}

Test(limits, loops_are_stopped)
{
	static const char *const bodies[] = {
	    "while true do end",
	    "while true do pcall(function() while true do end end) end",
	    "while true do pcall(error) end",
	    "local function f() return f() end f()",
	    "repeat local ok = pcall(function() repeat until false end) until "
	    "false",
	    "for i = 1, math.huge do end",
	    "goto a ::a:: goto a",
	    "while true do xpcall(function() while true do end end, print) end",
	    "xpcall(function() error('x') end, function() while true do end "
	    "end)",
	    "xpcall(error, function() while true do pcall(error) end end)",
	    "while true do xpcall(error, error) end",
	    "for k in function() return 1 end do end",
	    "setmetatable(_ENV, nil) local f = pcall while true do f(f, f) end",
	};

	must_stop(bodies, sizeof(bodies) / sizeof(bodies[0]));
}

Test(limits, loops_in_coroutines_are_stopped)
{
	static const char *const bodies[] = {
	    "coroutine.wrap(function() while true do end end)()",
	    "local co = coroutine.create(function() while true do end end) "
	    "while true do coroutine.resume(co) end",
	    "while true do pcall(coroutine.wrap(function() while true do end "
	    "end)) end",
	    "local co = coroutine.wrap(function() while true do "
	    "coroutine.yield() end end) while true do co() end",
	    "local function nest(n) if n == 0 then while true do end end "
	    "coroutine.wrap(nest)(n - 1) end nest(20)",
	    "while true do local co = coroutine.wrap(function() error('x') "
	    "end) pcall(co) end",
	    /* Made when the script was loaded. */
	    "old = old or coroutine.create(function() while true do end end) "
	    "coroutine.resume(old)",
	    "for i in coroutine.wrap(function() while true do "
	    "coroutine.yield(1) end end) do end",
	};

	must_stop(bodies, sizeof(bodies) / sizeof(bodies[0]));
}

Test(limits, a_coroutine_of_load_time_is_stopped_and_stays_dead)
{
	fix_load("co = coroutine.create(function() while true do end end)\n"
		 "function on_x(event)\n"
		 "  if event.data.n == 1 then coroutine.resume(co) end\n"
		 "  assert(coroutine.status(co) == 'dead')\n"
		 "  assert(not coroutine.resume(co))\n"
		 "end");
	fix_start(1, "{\"data\":{\"n\":1}}");
	cr_expect_not_null(strstr(outcomes[1].error, "CPU limit"));
	fix_start(2, "{\"data\":{\"n\":2}}");
	cr_expect_eq(outcomes[2].result, PROTO_DONE, "%s", outcomes[2].error);
}

Test(limits, loops_in_callbacks_are_stopped)
{
	static const char *const bodies[] = {
	    "table.sort({3, 2, 1}, function() while true do end end)",
	    "while true do pcall(table.sort, {3, 2, 1}, function() while true "
	    "do pcall(error) end end) end",
	    "('x'):gsub('.', function() while true do end end)",
	    "while true do pcall(string.gsub, 'x', '.', function() while true "
	    "do pcall(error) end end) end",
	    "local s = ('x'):rep(1000) while true do s:gsub('.', pcall) end",
	    "local t = setmetatable({}, {__index = function() while true do "
	    "end end}) local _ = t.x",
	    "local t = setmetatable({}, {__index = function() while true do "
	    "pcall(error) end end}) table.concat(t, '', 1, 2)",
	    "local t = setmetatable({}, {__lt = function() while true do end "
	    "end}) local _ = t < t",
	    "local t = setmetatable({}, {__tostring = function() while true do "
	    "end end}) tostring(t)",
	    "local t = setmetatable({}, {__tostring = function() while true do "
	    "end end}) print(t)",
	    "local t = setmetatable({}, {__pairs = function() while true do "
	    "end end}) for _ in pairs(t) do end",
	    "local t = setmetatable({}, {__close = function() while true do "
	    "end end}) do local x <close> = t end",
	    "local t = setmetatable({}, {__close = function() while true do "
	    "pcall(error) end end}) local x <close> = t error('x')",
	    "local t = setmetatable({}, {__close = function() while true do "
	    "pcall(error) end end}) coroutine.wrap(function() local x <close> "
	    "= t error('x') end)()",
	    "local t = setmetatable({}, {__close = function() while true do "
	    "end end}) local co = coroutine.create(function() local x <close> "
	    "= t coroutine.yield() end) coroutine.resume(co) "
	    "coroutine.close(co)",
	    "table.concat(setmetatable({}, {__index = function() return '' "
	    "end, __len = function() return 1 << 60 end}))",
	    "table.sort(setmetatable({}, {__len = function() return (1 << 31) "
	    "- 2 end}), rawequal)",
	    "table.sort(setmetatable({}, {__len = function() return (1 << 31) "
	    "- 2 end, __index = function() return 1 end, __newindex = "
	    "function() end}))",
	};
	size_t i;

	/* A __close after an error is in its time of grace, and then the error
	 * is what is told. */
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		must_be_killed(bodies[i],
		    strstr(bodies[i], "pcall(error) end end}) local x <close>")
			? "x"
			: "CPU limit of 100ms exceeded");
}

Test(limits, endless_ranges_in_c_are_stopped)
{
	static const char *const bodies[] = {
	    "table.move({}, 1, 1 << 60, 2)",
	    "table.move({}, 1, 1 << 60, 2, {})",
	    "table.move({}, -(1 << 60), 1, 5)",
	    "pcall(table.move, {}, 1, 1 << 60, 2) while true do end",
	    "table.insert(setmetatable({}, {__len = function() return 1 << 60 "
	    "end}), 1, 1)",
	    "table.remove(setmetatable({}, {__len = function() return 1 << 60 "
	    "end}), 1)",
	    "('a'):rep(400):find('.-.-.-.-b$')",
	    "('a'):rep(400):match('(.-)(.-)(.-)(.-)b$')",
	    "('a'):rep(400):gsub('.-.-.-.-b$', '')",
	    "for _ in ('a'):rep(400):gmatch('.-.-.-.-b$') do end",
	    "while true do pcall(string.find, ('a'):rep(400), '.-.-.-.-b$') "
	    "end",
	    "('a'):rep(5000):find(('a?'):rep(20) .. ('a*'):rep(20) .. 'b')",
	    "local s = ('('):rep(100000) while true do s:find('%b()') end",
	};

	must_stop(bodies, sizeof(bodies) / sizeof(bodies[0]));
}

Test(limits, what_was_endless_in_lua_is_done_at_once)
{
	env.limits.mem_bytes = 128U << 20;
	env.limits.cpu_ms = 5000;
	fix_good("assert((''):rep(1 << 60) == '') "
		 "assert((''):rep(1 << 60, '') == '') "
		 "local s = ('a'):rep(20000000) "
		 "assert(not s:find(('a'):rep(10000000) .. 'b', 1, true)) "
		 "assert(not pcall(table.unpack, {}, 1, 1 << 40))");
}

Test(limits, a_deep_recursion_is_an_error)
{
	env.limits.mem_bytes = 256U << 20;
	env.limits.cpu_ms = 5000;
	fix_bad("local function f() return 1 + f() end f()", "stack overflow");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("local function f(n) return coroutine.wrap(f)(n) end f(1)",
	    "C stack overflow");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("local function f() return (('x'):gsub('.', f)) end f()",
	    "C stack overflow");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("local t = {} for i = 1, 1000 do t = setmetatable({}, "
		"{__index = t}) end local _ = t.x error('end')",
	    "");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("('x'):find(('()'):rep(40))", "too many captures");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad(
	    "(('x'):rep(1000)):find(('x?'):rep(1000))", "pattern too complex");
}

/* Each close begins a count of C calls of its own: 20,000 of them, one within
 * the other, run off the C stack in Lua 5.4.4. */
Test(limits, nested_closes_are_an_error)
{
	fix_good("local n = 0\n"
		 "local function nest()\n"
		 "  n = n + 1\n"
		 "  if n >= 20000 then return end\n"
		 "  local co = coroutine.create(function()\n"
		 "    local x <close> = setmetatable({}, {__close = nest})\n"
		 "    coroutine.yield()\n"
		 "  end)\n"
		 "  coroutine.resume(co)\n"
		 "  coroutine.close(co)\n"
		 "end\n"
		 "pcall(nest)");
}

Test(limits, memory_bombs_are_errors)
{
	static const char *const bodies[] = {
	    "local t = {} for i = 1, 1e9 do t[i] = {} end",
	    "local s = 'x' while true do s = s .. s end",
	    "local s = ('x'):rep(1 << 30)",
	    "local t = {} while true do t = {t} end",
	    "local t = {} for i = 1, 1e9 do t[i] = coroutine.create(print) end",
	    "(('x'):rep(1000000)):gsub('.', ('y'):rep(1000))",
	    "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end",
	    "table.concat(setmetatable({}, {__index = type, __len = function() "
	    "return 1 << 60 end}))",
	};
	size_t i;

	env.limits.cpu_ms = 10000;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		must_be_killed(bodies[i], "memory limit of 16MiB exceeded");
}

Test(limits, a_memory_error_may_be_caught)
{
	fix_good("local ok, e = pcall(string.rep, 'x', 1 << 30) "
		 "assert(not ok and e == 'not enough memory')");
}

Test(limits, a_full_state_lets_the_others_run_again_and_begins_anew)
{
	env.limits.cpu_ms = 10000;
	fix_load("hoard = {} loads = (loads or 0) + 1 "
		 "function on_x(event) "
		 "if event.data.n == 1 then sleep(4) end "
		 "if event.data.n == 2 then for i = 1, 1e9 do hoard[i] = {} "
		 "end end assert(#hoard == 0) end");
	fix_start(1, "{\"data\":{\"n\":1}}");
	fix_start(3, "{\"data\":{\"n\":1}}");
	cr_expect_eq(bundle_jobs(bundle), 2);
	fix_start(2, "{\"data\":{\"n\":2}}");
	cr_assert(ended[1] && ended[2] && ended[3]);
	cr_expect_eq(outcomes[2].uncharged, 0);
	cr_expect_not_null(strstr(outcomes[2].error, "memory limit of 16MiB"));
	cr_expect_eq(outcomes[1].result, PROTO_ERROR);
	cr_expect_eq(outcomes[1].uncharged, 1);
	cr_expect_eq(outcomes[3].uncharged, 1);
	cr_expect_eq(bundle_jobs(bundle), 0);
	fix_start(4, "{\"data\":{\"n\":3}}");
	cr_expect_eq(outcomes[4].result, PROTO_DONE, "%s", outcomes[4].error);
	cr_expect_lt(outcomes[4].memory_bytes, 1U << 20);
}

Test(limits, a_script_that_fills_memory_when_loaded_anew_says_so)
{
	env.limits.cpu_ms = 10000;
	fix_load("if asked then error('not again') end "
		 "function on_x() local t = {} for i = 1, 1e9 do t[i] = {} end "
		 "end");
	fix_start(1, "{}");
	fix_start(2, "{}");
	cr_expect_eq(outcomes[2].result, PROTO_ERROR);
	cr_expect_not_null(strstr(outcomes[2].error, "memory limit"));
}

Test(limits, a_load_is_limited_too)
{
	fix_try_load("while true do end");
	cr_expect_null(bundle);
	cr_expect_not_null(strstr(
	    loaded.error, "scripts/on_x.lua:1: CPU limit of 100ms exceeded"));
	fix_try_load("local t = {} for i = 1, 1e9 do t[i] = {} end");
	cr_expect_null(bundle);
	cr_expect_not_null(strstr(loaded.error, "exceeded"));
}

Test(limits, the_place_of_a_kill_is_told)
{
	fix_bad("\nlocal function spin()\n  while true do end\nend\nspin()",
	    "scripts/on_x.lua:3: CPU limit of 100ms exceeded");
	cr_expect_str_eq(outcomes[1].traceback,
	    "scripts/on_x.lua:3: in local 'spin'\n"
	    "scripts/on_x.lua:5: in handler on_x");
	cr_expect_geq(outcomes[1].cpu_us, 90000);
	cr_expect_geq(outcomes[1].slice_us, 90000);
}

Test(limits, what_is_open_is_closed_after_a_kill)
{
	fix_good("");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("local x <close> = setmetatable({}, {__close = function() "
		"log.info('closed') end}) while true do end",
	    "CPU limit");
	cr_expect_not_null(strstr(buf_text(&logged), "closed"));

	buf_reset(&logged);
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("coroutine.wrap(function() local x <close> = setmetatable({}, "
		"{__close = function() log.info('closed') end}) while true do "
		"end end)()",
	    "CPU limit");
	cr_expect_not_null(strstr(buf_text(&logged), "closed"));

	/* After an error, and after event:drop(). */
	buf_reset(&logged);
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_bad("local x <close> = setmetatable({}, {__close = function() "
		"log.info('closed') end}) error('x')",
	    "x");
	cr_expect_not_null(strstr(buf_text(&logged), "closed"));
	buf_reset(&logged);
	fix_load("function on_x(event) local x <close> = setmetatable({}, "
		 "{__close = function() log.info('closed') end}) event:drop() "
		 "end");
	fix_start(3, "{}");
	cr_expect_eq(outcomes[3].result, PROTO_DROPPED);
	cr_expect_not_null(strstr(buf_text(&logged), "closed"));
}

Test(limits, each_slice_has_its_own_time)
{
	fix_good("for i = 1, 6 do local t = os.clock() "
		 "while os.clock() - t < 0.03 do end sleep(0) end");
	cr_expect_geq(outcomes[1].cpu_us, 150000);
	cr_expect_lt(outcomes[1].slice_us, 100000);
}

Test(limits, a_handler_that_waits_too_long_is_ended)
{
	env.limits.handler_ms = 60;
	fix_bad(
	    "while true do sleep(0) end", "handler deadline of 60ms exceeded");
	cr_expect_not_null(outcomes[1].traceback);
	cr_expect_geq(outcomes[1].duration_ms, 50);
}

Test(limits, a_handler_that_waits_cannot_be_resumed_or_closed_by_another)
{
	fix_load("function on_x(event) if event.data.n == 1 then co = "
		 "coroutine.running() sleep(0.05) return end "
		 "local ok, e = coroutine.resume(co) "
		 "assert(not ok and e == 'cannot resume a handler') "
		 "assert(not pcall(coroutine.close, co)) end");
	fix_start(1, "{\"data\":{\"n\":1}}");
	fix_start(2, "{\"data\":{\"n\":2}}");
	cr_expect_eq(outcomes[2].result, PROTO_DONE, "%s", outcomes[2].error);
	fix_wait(1);
	cr_expect_eq(outcomes[1].result, PROTO_DONE, "%s", outcomes[1].error);
}

Test(limits, what_is_shared_many_times_over_is_not_written_for_ever)
{
	static const char *const bodies[] = {
	    "local t = {} for i = 1, 40 do t = {t, t} end json.encode(t)",
	    "local t = {} for i = 1, 40 do t = {t, t} end while true do "
	    "pcall(json.encode, t) end",
	    "local t = {} for i = 1, 40 do t = {t, t} end for i = 1, 1e9 do "
	    "log.info('x', {t}) end",
	};

	must_stop(bodies, sizeof(bodies) / sizeof(bodies[0]));
}

Test(limits, texts_for_people_are_cut)
{
	fix_bad("error(('\\u{e4}'):rep(100000), 0)", "\xC3\xA4");
	cr_expect_lt(strlen(outcomes[1].error), 17000);
	fix_load("function on_x(event) event:drop(('x'):rep(100000)) end");
	fix_start(2, "{}");
	cr_expect_eq(strlen(outcomes[2].error), PROTO_TEXT_MAX,
	    "the host cuts the rest");
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	fix_good("log.info(('x'):rep(100000))");
	cr_expect_lt(logged.len, 17000);
}

Test(limits, what_else_was_tried)
{
	static const char *const bodies[] = {
	    "local function f() pcall(f) pcall(f) end f()",
	    "local function f() xpcall(f, f) f() end while true do pcall(f) "
	    "end",
	    "table.sort({1, 2, 3}, coroutine.wrap(function() while true do "
	    "end end))",
	    "while true do pcall(require, 'endless') end",
	    "_ENV = setmetatable({}, {__index = function(_, k) while true do "
	    "end end}) x()",
	    "setmetatable(_G, {__newindex = function() while true do end "
	    "end}) zzz = 1",
	    "local s = ('x'):rep(100000) while true do local _ = s < s .. 'y' "
	    "end",
	    "while true do os.date(('%c'):rep(400)) end",
	    "while true do collectgarbage() end",
	    "local t = {} for i = 1, 200 do t = setmetatable({}, {__index = t, "
	    "__concat = function() while true do end end}) end return t .. t",
	    "local t = setmetatable({}, {__eq = function() while true do end "
	    "end}) return t == setmetatable({}, getmetatable(t))",
	    "local t = setmetatable({}, {__call = function() while true do "
	    "end end}) return t()",
	    "local t = setmetatable({}, {__len = function() while true do end "
	    "end}) return #t",
	    "local t = setmetatable({}, {__name = ('x'):rep(1000)}) while "
	    "true do tostring(t) end",
	    "for w in ('x'):rep(100):gmatch('x') do while true do end end",
	    "return select(2, pcall(function() while true do end end))",
	    "while true do coroutine.close(coroutine.create(print)) end",
	    "while true do pcall(event.retry, 1) end",
	    "while true do pcall(secret, 'x') end",
	    "while true do pcall(sleep, 1e9) end",
	    "while true do json.decode('[1,2,') end",
	    "while true do require 'cjson'.decode('[1]') end",
	    "repeat until event.headers[math.random()]",
	};

	must_stop(bodies, sizeof(bodies) / sizeof(bodies[0]));
}

Test(limits, an_end_is_not_changed_by_what_is_closed_after_it)
{
	fix_load("function on_x(event) local x <close> = setmetatable({}, "
		 "{__close = function() event:drop('late') end}) "
		 "event:retry{after = 3, reason = 'early'} end");
	fix_start(1, "{}");
	cr_expect_eq(outcomes[1].result, PROTO_RETRY);
	cr_expect_eq(outcomes[1].after_ms, 3000);
	cr_expect_str_eq(outcomes[1].error, "early");
}
