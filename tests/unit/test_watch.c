#include <fcntl.h>

#include <criterion/criterion.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "wire/source.h"
#include "wire/watch.h"

#include "unit/scratch.h"

#define DEADLINE_MS 20000

static struct scratch scratch;
static struct event_base *base;
static struct watch *watch;
static struct source *now;
static unsigned int told;
static int missing;
static int lost; /* A change was told in which script a was not there. */

static void
changed(void *cookie, struct source *source)
{
	cr_assert_eq(cookie, &scratch);
	source_unref(now);
	now = source_ref(source);
	lost |= source_script(now, "a") == NULL;
	told++;
}

static void
trouble(void *cookie, const char *why)
{
	(void)cookie;
	missing = why != NULL;
}

static void
start(int polling)
{
	const struct watch_options options = {.base = base,
	    .dir = scratch_path(&scratch, "scripts"),
	    .changed = changed,
	    .trouble = trouble,
	    .cookie = &scratch,
	    .polling = polling};
	struct err err = ERR_INIT;

	cr_assert_eq(watch_start(&options, &watch, &err), 0, "%s", err.msg);
	cr_assert_eq(told, 1);
	lost = 0;
}

static void
setup(void)
{
	scratch_make(&scratch);
	scratch_mkdir(&scratch, "scripts");
	scratch_write(&scratch, "scripts/a.lua", "return 1");
	base = event_base_new();
}

static void
teardown(void)
{
	watch_stop(watch);
	source_unref(now);
	event_base_free(base);
	scratch_clear(&scratch);
}

TestSuite(watch, .init = setup, .fini = teardown, .timeout = 60);

/* Run the loop until script (or lib) ${name} has that text; NULL: is gone. */
static uint64_t
wait_for(int lib, const char *name, const char *text)
{
	uint64_t from = clock_mono_ms();
	const struct source_file *f;

	for (;;) {
		f = lib ? source_lib(now, name) : source_script(now, name);
		if (text == NULL ? f == NULL
				 : f != NULL && str_eq(f->text, str_of(text)))
			return clock_mono_ms() - from;
		cr_assert_lt(clock_mono_ms() - from, DEADLINE_MS, "no change");
		(void)event_base_loop(base, EVLOOP_ONCE);
	}
}

Test(watch, sees_writing_in_place_and_renaming_over)
{
	start(0);
	scratch_write(&scratch, "scripts/a.lua", "return 2");
	(void)wait_for(0, "a", "return 2");
	scratch_replace(&scratch, "scripts/a.lua", "return 3");
	(void)wait_for(0, "a", "return 3");
	cr_assert_not(lost);
}

Test(watch, sees_new_files_and_deleted_ones)
{
	start(0);
	scratch_write(&scratch, "scripts/b.lua", "return 2");
	(void)wait_for(0, "b", "return 2");
	cr_assert_eq(unlink(scratch_path(&scratch, "scripts/a.lua")), 0);
	(void)wait_for(0, "a", NULL);
}

Test(watch, sees_libs_come_change_and_go)
{
	start(0);
	scratch_mkdir(&scratch, "scripts/lib");
	scratch_write(&scratch, "scripts/lib/l.lua", "return 1");
	(void)wait_for(1, "l", "return 1");
	scratch_write(&scratch, "scripts/lib/l.lua", "return 2");
	(void)wait_for(1, "l", "return 2");
	cr_assert_eq(rename(scratch_path(&scratch, "scripts/lib"),
			 scratch_path(&scratch, "old")),
	    0);
	(void)wait_for(1, "l", NULL);
	scratch_mkdir(&scratch, "scripts/lib");
	scratch_write(&scratch, "scripts/lib/l.lua", "return 3");
	(void)wait_for(1, "l", "return 3");
}

Test(watch, gives_a_file_that_vanished_time_to_come_back)
{
	start(0);
	cr_assert_eq(rename(scratch_path(&scratch, "scripts/a.lua"),
			 scratch_path(&scratch, "scripts/a.lua~")),
	    0);
	/* Another change has the folder looked at in between. */
	scratch_write(&scratch, "scripts/b.lua", "return 1");
	(void)event_base_loop(base, EVLOOP_ONCE);
	(void)event_base_loop(base, EVLOOP_ONCE);
	scratch_write(&scratch, "scripts/a.lua", "return 2");
	(void)wait_for(0, "a", "return 2");
	cr_assert_not(lost);
}

Test(watch, waits_for_a_file_that_is_being_written)
{
	FILE *f;

	start(0);
	f = fopen(scratch_path(&scratch, "scripts/a.lua"), "w");
	cr_assert_not_null(f);
	/* What the truncation has brought, then the closing. */
	(void)event_base_loop(base, EVLOOP_ONCE);
	cr_assert(fputs("return 2", f) != EOF);
	cr_assert_eq(fclose(f), 0);
	(void)wait_for(0, "a", "return 2");
	cr_assert_eq(told, 2, "the empty file was told");
}

Test(watch, sees_a_swapped_link)
{
	scratch_mkdir(&scratch, "scripts/..1");
	scratch_mkdir(&scratch, "scripts/..2");
	scratch_write(&scratch, "scripts/..1/c.lua", "return 1");
	scratch_write(&scratch, "scripts/..2/c.lua", "return 2");
	cr_assert_eq(
	    symlink("..1", scratch_path(&scratch, "scripts/..data")), 0);
	cr_assert_eq(
	    symlink("..data/c.lua", scratch_path(&scratch, "scripts/c.lua")),
	    0);
	start(0);
	(void)wait_for(0, "c", "return 1");
	cr_assert_eq(
	    symlink("..2", scratch_path(&scratch, "scripts/..data_tmp")), 0);
	cr_assert_eq(rename(scratch_path(&scratch, "scripts/..data_tmp"),
			 scratch_path(&scratch, "scripts/..data")),
	    0);
	(void)wait_for(0, "c", "return 2");
}

Test(watch, sees_through_a_link_that_leads_out)
{
	scratch_write(&scratch, "real", "return 1");
	cr_assert_eq(
	    symlink("../real", scratch_path(&scratch, "scripts/c.lua")), 0);
	start(0);
	scratch_write(&scratch, "real", "return 2");
	(void)wait_for(0, "c", "return 2");
}

Test(watch, keeps_what_it_told_while_the_folder_is_away)
{
	start(0);
	cr_assert_eq(rename(scratch_path(&scratch, "scripts"),
			 scratch_path(&scratch, "old")),
	    0);
	while (!missing)
		(void)event_base_loop(base, EVLOOP_ONCE);
	cr_assert_not_null(source_script(now, "a"));
	cr_assert_eq(told, 1);
	scratch_mkdir(&scratch, "scripts");
	scratch_write(&scratch, "scripts/a.lua", "return 2");
	(void)wait_for(0, "a", "return 2");
	cr_assert_not(missing);

	/* And it is watched as the first one was. */
	scratch_write(&scratch, "scripts/a.lua", "return 3");
	(void)wait_for(0, "a", "return 3");
}

Test(watch, sees_the_folder_itself_replaced)
{
	scratch_mkdir(&scratch, "next");
	scratch_write(&scratch, "next/a.lua", "return 2");
	start(0);
	cr_assert_eq(rename(scratch_path(&scratch, "scripts"),
			 scratch_path(&scratch, "old")),
	    0);
	cr_assert_eq(rename(scratch_path(&scratch, "next"),
			 scratch_path(&scratch, "scripts")),
	    0);
	(void)wait_for(0, "a", "return 2");
	scratch_write(&scratch, "scripts/a.lua", "return 3");
	(void)wait_for(0, "a", "return 3");
}

Test(watch, tells_the_same_text_saved_again_once)
{
	const struct timespec times[2] = {{100, 0}, {100, 0}};

	start(0);
	scratch_write(&scratch, "scripts/b.lua", "return 1");
	(void)wait_for(0, "b", "return 1");
	told = 0;
	cr_assert_eq(utimensat(AT_FDCWD,
			 scratch_path(&scratch, "scripts/a.lua"), times, 0),
	    0);
	watch_look(watch);
	cr_assert_eq(told, 1);
	watch_look(watch);
	cr_assert_eq(told, 1);
}

Test(watch, looks_at_once_when_asked)
{
	start(0);
	scratch_write(&scratch, "scripts/a.lua", "return 2");
	watch_look(watch);
	cr_assert(str_eq(source_script(now, "a")->text, STR("return 2")));
	cr_assert_eq(unlink(scratch_path(&scratch, "scripts/a.lua")), 0);
	watch_look(watch);
	cr_assert_null(source_script(now, "a"));
}

Test(watch, does_without_inotify)
{
	start(1);
	scratch_write(&scratch, "scripts/a.lua", "return 2");
	(void)wait_for(0, "a", "return 2");
	cr_assert_eq(unlink(scratch_path(&scratch, "scripts/a.lua")), 0);
	(void)wait_for(0, "a", NULL);
}

Test(watch, refuses_a_folder_that_is_missing)
{
	const struct watch_options options = {.base = base,
	    .dir = scratch_path(&scratch, "none"),
	    .changed = changed,
	    .cookie = &scratch};
	struct err err = ERR_INIT;

	cr_assert_eq(watch_start(&options, &watch, &err), -1);
	cr_assert_eq(err.code, ERR_NOT_FOUND);
	cr_assert_eq(told, 0);
}
