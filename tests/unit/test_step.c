#include "unit/fakestore.h"

TestSuite(step, .init = fake_setup, .fini = fake_teardown, .timeout = 30);

Test(step, records_what_its_function_returns)
{
	fake_good("local v = step('jira', function() return 'OPS-1' end) "
		  "assert(v == 'OPS-1')");
	cr_assert_eq(fake_nsteps, 1);
	cr_assert_eq(fake_job, 1);
	cr_expect_str_eq(fake_steps[0].key, "jira");
	cr_expect_str_eq(fake_steps[0].json, "\"OPS-1\"");
}

Test(step, is_not_done_again_by_a_later_attempt)
{
	fix_load(
	    "function on_x(event) "
	    "  local a = step('a', function() log.info('a runs') "
	    "    return { n = 1, big = 9007199254740993, l = json.array{}, "
	    "      o = {}, f = 1.0 } end) "
	    "  assert(math.type(a.n) == 'integer' and a.f == 1.0) "
	    "  assert(a.big == 9007199254740993) "
	    "  assert(json.encode(a.l) == '[]' and json.encode(a.o) == "
	    "'{}') "
	    "  if event.attempt == 1 then error('between') end "
	    "  step('b', function() log.info('b runs') end) "
	    "end");
	cr_assert_eq(fake_attempt(1, 1, NULL)->result, PROTO_ERROR);
	cr_assert_not_null(strstr(outcomes[1].error, "between"));
	fake_done(2, 2, NULL);
	cr_assert_str_eq(buf_text(&logged), "info a runs\ninfo b runs\n");
	cr_assert_eq(fake_nsteps, 2);
}

Test(step, nil_and_null_come_back_as_nil)
{
	fix_load("function on_x(event) "
		 "  assert(step('nil', function() n = (n or 0) + 1 end) == nil)"
		 "  assert(step('null', function() n = n + 1 return json.null "
		 "end) == nil)"
		 "  assert(step('false', function() n = n + 1 return false "
		 "end) == false)"
		 "  assert(n == 3)"
		 "end");
	fake_done(1, 1, NULL);
	fake_done(2, 2, NULL);
	cr_assert_eq(fake_nsteps, 3);
}

Test(step, the_key_is_the_same_on_every_attempt_and_no_other)
{
	char *first;

	fix_load("function on_x(event) "
		 "  local keys = {} "
		 "  for _, name in ipairs{'a', 'b'} do "
		 "    pcall(step, name, function(key) "
		 "      assert(#key == 32 and key:find('^[0-9a-f]+$')) "
		 "      keys[#keys + 1] = key error('no') end) "
		 "  end "
		 "  assert(keys[1] ~= keys[2]) "
		 "  log.info(table.concat(keys, ' ')) "
		 "end");
	fake_done(1, 1, "r-1");
	first = buf_take(&logged);
	fake_done(2, 2, "r-1");
	cr_assert_str_eq(buf_text(&logged), first);
	buf_reset(&logged);
	fake_done(3, 1, "r-2");
	cr_assert_str_neq(buf_text(&logged), first);
	free(first);
}

Test(step, a_name_is_used_once_in_a_run)
{
	fake_bad("step('a', function() end) step('a', function() end)",
	    "step 'a' was used before in this run");
	fake_bad("step('b', function() step('b', function() end) end)",
	    "step 'b' was used before in this run");
}

Test(step, a_recorded_name_is_used_once_too)
{
	fake_put(&fake_steps[0], STR("a"), STR("1"), 0);
	fake_bad("assert(step('a', error) == 1) step('a', error)",
	    "step 'a' was used before in this run");
	cr_assert_eq(fake_nsteps, 0);
}

Test(step, an_error_in_it_records_nothing_and_gives_the_name_back)
{
	fake_good("local function no() error('no', 0) end "
		  "local ok, why = pcall(step, 'a', no) "
		  "assert(not ok and why == 'no') "
		  "ok, why = pcall(step, 'a', no) "
		  "assert(not ok and why == 'no', why) "
		  "assert(step('a', function() return 2 end) == 2)");
	cr_assert_eq(fake_nsteps, 1);
}

Test(step, an_error_in_it_has_its_traceback)
{
	fake_bad("\nstep('a', function()\nerror('no')\nend)",
	    "scripts/on_x.lua:3: no");
	cr_assert_not_null(
	    strstr(outcomes[1].traceback, "scripts/on_x.lua:2: in"), "%s",
	    outcomes[1].traceback);
}

Test(step, its_function_may_wait)
{
	fake_good("local v = step('a', function() sleep(0.001) "
		  "  kv.set('k', 1) sleep(0.001) return kv.get('k') end) "
		  "assert(v == 1) "
		  "local ok, why = pcall(step, 'b', function() sleep(0.001) "
		  "error('late', 0) end) assert(not ok and why == 'late') "
		  "assert(step('b', function() sleep(0.001) return 'b' end) == "
		  "'b')");
	cr_assert_eq(fake_nsteps, 2);
}

Test(step, steps_may_be_nested)
{
	fake_good("local v = step('outer', function() "
		  "  local i = step('inner', function() return 1 end) "
		  "  return i + 1 end) assert(v == 2)");
	cr_assert_eq(fake_nsteps, 2);
	cr_expect_str_eq(fake_steps[0].key, "inner");
}

Test(step, nil_and_a_message_is_an_error)
{
	fake_bad("step('a', function() return nil, 'timed out', 'timeout' end)",
	    "step 'a': its function returned nil and: timed out");
	cr_assert_eq(fake_nsteps, 0);
}

Test(step, what_is_no_json_is_refused)
{
	fake_bad(
	    "step('a', function() return { f = print } end)", "step 'a': ");
	fake_bad("step('a', function() return 0/0 end)", "step 'a': ");
	cr_assert_eq(fake_nsteps, 0);
}

Test(step, a_result_that_is_too_large_is_refused)
{
	fake_good("step('a', function() return ('x'):rep(65534) end)");
	cr_assert_eq(fake_nsteps, 1);
	fake_bad("step('b', function() return ('x'):rep(65535) end)",
	    "step 'b': the value is too large: more than 65536 bytes");
	fake_bad("step('b', function() local t = {} for i = 1, 1e5 do t[i] = i "
		 "end return t end)",
	    "step 'b': the value is too large: more than 65536 bytes");
	cr_assert_eq(fake_nsteps, 1);
}

Test(step, takes_a_name_and_a_function)
{
	fake_bad("step('', print)", "1 to 200 bytes");
	fake_bad("step(('n'):rep(201), print)", "1 to 200 bytes, not 201");
	fake_bad("step(12, print)", "string expected, got number");
	fake_bad("step('a\\xff', print)", "UTF-8");
	fake_bad("step('a')", "function expected");
	fake_bad("step('a', 'b')", "function expected");
	cr_assert_eq(fake_nsteps, 0);
}

Test(step, what_the_store_refuses_is_an_error)
{
	fake_refusal = (struct proto_answer){
	    .code = ERR_UNAVAILABLE, .error = STR("the disk is full")};
	fake_bad("step('a', function() end)", "step 'a': the disk is full");
	cr_expect_eq(strncmp(outcomes[1].error, "scripts/on_x.lua:1:", 19), 0,
	    "%s", outcomes[1].error);
	fake_good("assert(not pcall(step, 'a', print)) "
		  "assert(not pcall(step, 'a', print))");
}

Test(step, works_in_a_handler_only)
{
	fix_try_load("step('a', function() end)");
	cr_assert_null(bundle);
	cr_expect_not_null(strstr(loaded.error, "cannot wait while the script "
						"loads"));
	fake_bad("local ok, why = coroutine.resume(coroutine.create(function() "
		 "step('a', function() end) end)) error(why, 0)",
	    "cannot wait inside a coroutine of the script's own");
	fake_bad("table.sort({2, 1}, function() step('a', print) end)",
	    "cannot wait inside a callback");
}

Test(step, is_bounded_in_number)
{
	fake_good("for i = 1, 1000 do step('s' .. i, function() end) end "
		  "local ok, why = pcall(step, 'more', function() end) "
		  "assert(not ok and why:find('a job may record 1000'), why)");
	cr_assert_eq(fake_nsteps, 1000);
}

Test(step, a_run_that_ends_meanwhile_is_cancelled)
{
	env.limits.handler_ms = 20;
	fix_load("function on_x(event) "
		 "  if event.attempt == 1 then step('a', function() end) "
		 "  else step('b', function() event:drop('enough') end) end "
		 "end");
	fix_start(1, "{}");
	fix_wait(1); /* Nobody answers. */
	cr_assert_not_null(strstr(outcomes[1].error, "deadline"));
	cr_assert_eq(fake_serve(), 1);
	cr_assert_eq(fake_attempt(2, 2, NULL)->result, PROTO_DROPPED);
	cr_assert_eq(fake_nsteps, 1);
}

Test(step, a_bundle_that_goes_meanwhile_takes_its_questions_along)
{
	fix_load("function on_x(event) step('a', function() end) end");
	fix_start(1, "{}");
	bundle_free(bundle);
	bundle = NULL;
	cr_assert_eq(fake_serve(), 1);
	cr_assert_not(ended[1]);
}

Test(step, many_runs_wait_at_once)
{
	uint64_t id;

	fix_load("function on_x(event) for i = 1, 3 do "
		 "  assert(step('s' .. i, function() return i end) == i) end "
		 "end");
	for (id = 1; id < 40; id++)
		fix_start(id, "{}");
	for (id = 1; id < 40; id++) {
		fake_wait(id);
		cr_assert_eq(outcomes[id].result, PROTO_DONE);
	}
	cr_assert_eq(fake_nsteps, 3 * 39);
}
