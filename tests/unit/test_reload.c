/* Which version of a script is served: with a real store and fake workers. */

#include "wire/watch.h"
#include "json/jwrite.h"

#include "unit/fakeworker.h"

#include "unit/dispatch_util.h"

TestSuite(reload, .init = setup, .fini = teardown, .timeout = 100);

Test(reload, serves_what_is_in_the_folder)
{
	start();
	save("a", "on_issue: done\non_event: done");
	save_and_load("b", "on_error: done");
	cr_assert(state_is("a", "loaded"));
	cr_assert_eq(status("a").nhandlers, 2);
	cr_assert_neq(status("a").loaded_unix_ms, 0);
	cr_assert_null(status("a").error);
	cr_assert_eq(wanted("issue"), 1);
	cr_assert_eq(wanted("error"), 2);
}

Test(reload, replaces_a_version_by_a_new_one)
{
	uint64_t id;
	char *old;

	start();
	save_and_load("a", "on_issue: error old");
	old = mem_strdup(status("a").version);
	save_and_load("a", "on_error: done\non_event: done");
	cr_assert_str_neq(status("a").version, old);
	free(old);
	cr_assert_eq(wanted("error"), 1);
	id = append("a");
	UNTIL(is(id, STORE_DONE));
}

Test(reload, keeps_the_last_good_version_of_a_broken_save)
{
	uint64_t id;

	start();
	save_and_load("a", "on_issue: done");
	save_and_load("a", "fail syntax error near 'end'");
	cr_assert(state_is("a", "failed"));
	cr_assert(strstr(status("a").error, "a.lua:1: syntax error"));
	cr_assert_eq(wanted("issue"), 1);
	id = append("a");
	UNTIL(is(id, STORE_DONE));
	save_and_load("a", "on_issue: done");
	cr_assert(state_is("a", "loaded"));
	cr_assert_null(status("a").error);
}

Test(reload, lets_the_old_version_end_what_it_runs)
{
	uint64_t id, later;

	start();
	save_and_load("a", waiting("go"));
	id = append("a");
	UNTIL(is(id, STORE_RUNNING));
	save_and_load("a", "on_issue: done");
	later = append("a");
	UNTIL(is(later, STORE_DONE));
	cr_assert(is(id, STORE_RUNNING));
	release("go");
	UNTIL(is(id, STORE_DONE));
	cr_assert_eq(seen[id].starts, 1);
}

Test(reload, gives_a_deleted_script_no_new_jobs)
{
	uint64_t id;

	start();
	save_and_load("a", "on_issue: done");
	unsave("a");
	update();
	settle();
	cr_assert(state_is("a", "removed"));
	cr_assert_eq(wanted("issue"), 0);
	id = append("a");
	settle();
	cr_assert_eq(seen[id].starts, 0);
	cr_assert_eq(count(STORE_PENDING), 1);

	/* They go on when it is back. */
	save_and_load("a", "on_issue: done");
	UNTIL(is(id, STORE_DONE));
}

Test(reload, loads_again_what_requires_a_changed_lib)
{
	char *a, *b;

	start();
	scratch_write(&scratch, "scripts/lib/l.lua", "1");
	save("a", "require l\non_issue: done");
	save_and_load("b", "on_issue: done");
	a = mem_strdup(status("a").version);
	b = mem_strdup(status("b").version);
	scratch_write(&scratch, "scripts/lib/l.lua", "2");
	update();
	settle();
	cr_assert_str_neq(status("a").version, a);
	cr_assert_str_eq(status("b").version, b);

	/* A lib that is broken is the trouble of those who need it alone. */
	scratch_write(&scratch, "scripts/lib/l.lua", "fail");
	update();
	settle();
	cr_assert(state_is("a", "failed"));
	cr_assert(state_is("b", "loaded"));
	scratch_write(&scratch, "scripts/lib/l.lua", "3");
	update();
	settle();
	cr_assert(state_is("a", "loaded"));
	free(a);
	free(b);
}

Test(reload, serves_the_last_good_version_after_a_restart)
{
	uint64_t id;

	start();
	scratch_write(&scratch, "scripts/lib/l.lua", "1");
	save_and_load("a", "require l\non_issue: done");
	stop();
	scratch_write(&scratch, "scripts/lib/l.lua", "fail");
	save("a", "fail worse");
	start();
	update();
	cr_assert_eq(wanted("issue"), 1, "before anything was loaded");
	settle();
	cr_assert(state_is("a", "failed"));
	cr_assert_not_null(status("a").version);
	id = append("a");
	UNTIL(is(id, STORE_DONE));
}

Test(reload, has_deliveries_wait_while_no_version_loads)
{
	uint64_t id;

	start();
	save_and_load("a", "fail no");
	cr_assert(state_is("a", "failed"));
	cr_assert_null(status("a").version);
	cr_assert_eq(wanted("issue"), 0);
	id = append("a");
	settle();
	cr_assert_eq(seen[id].starts, 0);
	save_and_load("a", "on_issue: done");
	UNTIL(is(id, STORE_DONE));
}

Test(reload, gives_up_a_version_that_does_not_finish_loading)
{
	uint64_t id;

	options.load_ms = 500;
	start();
	save_and_load("a", "on_issue: done");
	save_and_load("a", "hang");
	cr_assert(state_is("a", "failed"));
	cr_assert(
	    strstr(status("a").error, "did not finish loading within 0.5 s"),
	    "%s", status("a").error);
	id = append("a");
	UNTIL(is(id, STORE_DONE));
	save_and_load("b", "on_issue: done");
	cr_assert(state_is("b", "loaded"));
}

Test(reload, survives_a_version_that_crashes_when_it_is_loaded)
{
	uint64_t id;

	start();
	save_and_load("a", "on_issue: done");
	save("b", "babble");
	save_and_load("a", "crash");
	cr_assert(state_is("a", "failed"));
	cr_assert(
	    strstr(status("a").error, "crashed"), "%s", status("a").error);
	cr_assert(state_is("b", "failed"));
	id = append("a");
	UNTIL(is(id, STORE_DONE));
}

Test(reload, tells_a_file_that_cannot_be_read)
{
	start();
	cr_assert_eq(
	    symlink("nowhere", scratch_path(&scratch, "scripts/a.lua")), 0);
	update();
	settle();
	cr_assert(state_is("a", "failed"));
	cr_assert(strstr(status("a").error, "No such file"));
}

Test(reload, takes_the_newest_of_several_saves)
{
	uint64_t id;

	start();
	save("a", "on_issue: error one");
	update();
	save("a", "fail two");
	update();
	save("a", "on_issue: done");
	update();
	settle();
	cr_assert(state_is("a", "loaded"));
	id = append("a");
	UNTIL(is(id, STORE_DONE));
}

Test(reload, spreads_scripts_over_the_workers)
{
	uint64_t a, b;

	options.workers = 2;
	options.retry_attempts = 1;
	start();
	save("a", "on_issue: hang");
	save_and_load("b", "on_issue: done");
	a = append("a");
	UNTIL(is(a, STORE_RUNNING));
	b = append("b");
	UNTIL(is(b, STORE_DONE));
	cr_assert(is(a, STORE_RUNNING));
	UNTIL(is(a, STORE_DEAD));
}

static void
on_changed(void *cookie, struct source *source)
{
	(void)cookie;
	dispatch_update(dispatch, "default", source);
}

Test(reload, is_live_soon_after_a_save)
{
	const struct watch_options wo = {.base = loop_base(loop),
	    .dir = scratch_path(&scratch, "scripts"),
	    .changed = on_changed};
	struct watch *watch = NULL;
	struct err err = ERR_INIT;
	uint64_t from;

	start();
	save("a", "on_issue: done");
	cr_assert_eq(watch_start(&wo, &watch, &err), 0, "%s", err.msg);
	settle();
	cr_assert_eq(wanted("issue"), 1);
	cr_assert_eq(wanted("comment"), 0);
	from = clock_mono_ms();
	save("a", "on_issue: done\non_comment: done");
	UNTIL(wanted("comment") == 1);
	fprintf(stderr, "live after %llu ms\n",
	    (unsigned long long)(clock_mono_ms() - from));
	watch_stop(watch);
}

Test(reload, describes_a_script_as_json)
{
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 0);
	struct dispatch_script s;

	start();
	save_and_load("a", "on_issue: done");
	cr_assert_eq(dispatch_script_at(dispatch, 0, &s), 0);
	jwrite_object(&w);
	dispatch_write_script(&s, &w);
	jwrite_object_end(&w);
	cr_assert(strstr(out.data, "\"state\":\"loaded\""), "%s", out.data);
	cr_assert(strstr(out.data, "\"handlers\":[\"on_issue\"]"));
	cr_assert_eq(dispatch_script_at(dispatch, 1, &s), -1);
	cr_assert_eq(dispatch_script_find(dispatch, "x", "a", &s), -1);
	buf_free(&out);
}

static size_t wanted_when_told;

/* What the console, and its readers, are told of a script. */
static void
on_told(void *cookie, const char *integration, const char *name)
{
	(void)cookie;
	(void)integration;
	if (strcmp(name, "b") == 0 && state_is("b", "loaded"))
		wanted_when_told = wanted("comment");
}

Test(reload, deliveries_find_a_script_when_it_is_said_to_be_live)
{
	options.script = on_told;
	start();
	save_and_load("a", "on_issue: done");
	cr_assert_eq(wanted("comment"), 0);
	save("b", "on_comment: done");
	update();
	settle();
	cr_assert_eq(wanted_when_told, 1);
}
