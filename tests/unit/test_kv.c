#include "unit/fakestore.h"

TestSuite(kv, .init = fake_setup, .fini = fake_teardown, .timeout = 30);

Test(kv, keeps_values_exactly)
{
	fake_good(
	    "assert(kv.set('k', { big = 9007199254740993, l = json.array{}, "
	    "  o = {}, n = json.null, t = 'caf\xc3\xa9' }) == true) "
	    "local v = kv.get('k') "
	    "assert(v.big == 9007199254740993 and v.n == json.null) "
	    "assert(json.encode(v.l) == '[]' and json.encode(v.o) == '{}') "
	    "assert(v.t == 'caf\xc3\xa9') "
	    "kv.set('null', json.null) assert(kv.get('null') == json.null) "
	    "kv.set('no', false) assert(kv.get('no') == false) "
	    "assert(kv.get('nothing') == nil)");
	cr_assert_eq(fake_last.bundle, 7);
}

Test(kv, adds_only_what_is_absent)
{
	fake_good("assert(kv.add('k', 1) == true) "
		  "assert(kv.add('k', 2) == false) "
		  "assert(kv.get('k') == 1)");
}

Test(kv, deletes)
{
	fake_good("kv.set('k', 1) assert(kv.delete('k') == true) "
		  "assert(kv.delete('k') == false) "
		  "assert(kv.get('k') == nil)");
}

Test(kv, counts)
{
	fake_good("assert(kv.incr('n') == 1) assert(kv.incr('n', 10) == 11) "
		  "assert(kv.incr('n', -12) == -1) "
		  "assert(math.type(kv.incr('n', 2.0)) == 'integer')");
}

Test(kv, lists)
{
	fake_good("local l = kv.list('a/') "
		  "assert(#l == 2 and l[1] == 'a/1' and l[2] == 'a/2')");
	cr_assert_eq(fake_last.key.len, 2);
}

Test(kv, takes_a_time_to_live)
{
	fake_good(
	    "kv.set('a', 1, { ttl = 1.5 }) kv.add('b', 1, { ttl = '2h' }) "
	    "kv.set('c', 1) kv.set('d', 1, {})");
	cr_expect_eq(fake_find(fake_kv, STR("a"))->ttl_ms, 1500);
	cr_expect_eq(fake_find(fake_kv, STR("b"))->ttl_ms, 7200000);
	cr_expect_eq(fake_find(fake_kv, STR("c"))->ttl_ms, 0);
	cr_expect_eq(fake_find(fake_kv, STR("d"))->ttl_ms, 0);
}

Test(kv, wrong_arguments_are_errors)
{
	fake_bad("kv.get()", "string expected");
	fake_bad("kv.get('')", "a key of kv must have 1 to 1024 bytes");
	fake_bad("kv.set(('k'):rep(1025), 1)", "1 to 1024 bytes, not 1025");
	fake_bad("kv.set('\\xff', 1)", "a key of kv must be UTF-8");
	fake_bad("kv.set('k')", "value expected");
	fake_bad("kv.set('k', nil)", "kv.delete takes a key away");
	fake_bad("kv.set('k', print)", "kv.set: ");
	fake_bad("kv.set('k', 1, { tll = 1 })",
	    "unknown option 'tll': did you mean 'ttl'?");
	fake_bad("kv.set('k', 1, { ttl = 0 })", "ttl must be more than 0");
	fake_bad("kv.set('k', 1, { ttl = 'soon' })", "ttl must be seconds");
	fake_bad("kv.set('k', 1, 60)", "table expected");
	fake_bad("kv.incr('k', 1.5)", "no integer representation");
	fake_bad("kv.list(('k'):rep(1025))", "prefix");
	fake_bad("kv.set = 1", "kv is read-only");
	cr_assert_eq(fake_nkv, 0);
}

Test(kv, a_value_that_is_too_large_is_refused)
{
	fake_good("kv.set('k', ('x'):rep(65534)) "
		  "assert(#kv.get('k') == 65534)");
	fake_bad("kv.add('k', ('x'):rep(65535))",
	    "kv.add: the value is too large: more than 65536 bytes as JSON");
}

Test(kv, what_the_store_refuses_is_an_error)
{
	fake_refusal = (struct proto_answer){
	    .code = ERR_INVALID, .error = STR("it is not an integer")};
	fake_bad("\nkv.incr('k')",
	    "scripts/on_x.lua:2: kv.incr: it is not an integer");
	fake_good("for _, f in ipairs{'get', 'delete', 'incr', 'list'} do "
		  "  local ok, why = pcall(kv[f], 'k') "
		  "  assert(not ok and why:find('kv.' .. f .. ': it is', 1, "
		  "true), why) end "
		  "assert(not pcall(kv.set, 'k', 1)) "
		  "assert(not pcall(kv.add, 'k', 1))");
}

Test(kv, works_in_a_handler_only)
{
	fix_try_load("kv.get('k')");
	cr_assert_null(bundle);
	cr_expect_not_null(strstr(loaded.error, "cannot wait while the script "
						"loads"));
	fake_bad("local ok, why = coroutine.resume(coroutine.create(function() "
		 "kv.set('k', 1) end)) error(why, 0)",
	    "cannot wait inside a coroutine of the script's own");
}

Test(kv, counts_once_for_each_of_many)
{
	uint64_t id;

	fix_load("function on_x(event) kv.incr('n') sleep(0.001) kv.incr('n') "
		 "end");
	for (id = 1; id <= 50; id++)
		fix_start(id, "{}");
	for (id = 1; id <= 50; id++)
		fake_wait(id);
	cr_assert_str_eq(fake_find(fake_kv, STR("n"))->json, "100");
}
