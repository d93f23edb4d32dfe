#include <criterion/criterion.h>

#include "base/err.h"
#include "base/mem.h"
#include "wire/proto.h"
#include "wire/source.h"

#include "unit/scratch.h"

static struct scratch scratch;

static void
setup(void)
{
	scratch_make(&scratch);
	scratch_mkdir(&scratch, "scripts");
}

static void
teardown(void)
{
	scratch_clear(&scratch);
}

TestSuite(source, .init = setup, .fini = teardown);

static struct source *
scan(void)
{
	struct err err = ERR_INIT;
	struct source *s = NULL;

	cr_assert_eq(source_scan(scratch_path(&scratch, "scripts"), &s, &err),
	    0, "%s", err.msg);
	return s;
}

Test(source, finds_scripts_and_libs_by_name)
{
	struct source *s;
	const struct source_file *files;
	size_t n;

	scratch_write(&scratch, "scripts/b.lua", "return 2");
	scratch_write(&scratch, "scripts/a.lua", "return 1");
	scratch_write(&scratch, "scripts/a_test.lua", "return 1");
	scratch_write(&scratch, "scripts/.hidden.lua", "x");
	scratch_write(&scratch, "scripts/.lua", "x");
	scratch_write(&scratch, "scripts/readme.md", "x");
	scratch_mkdir(&scratch, "scripts/folder.lua");
	scratch_mkdir(&scratch, "scripts/lib");
	scratch_write(&scratch, "scripts/lib/z.lua", "return {}");
	scratch_write(&scratch, "scripts/lib/y.lua", "return {}");
	s = scan();
	files = source_scripts(s, &n);
	cr_assert_eq(n, 2);
	cr_assert_str_eq(files[0].name, "a");
	cr_assert_str_eq(files[1].name, "b");
	cr_assert(str_eq(files[1].text, STR("return 2")));
	cr_assert_str_eq(
	    files[1].chunk, scratch_path(&scratch, "scripts/b.lua"));
	cr_assert_null(files[1].error);
	files = source_libs(s, &n);
	cr_assert_eq(n, 2);
	cr_assert_str_eq(files[0].name, "y");
	cr_assert_not_null(source_script(s, "a"));
	cr_assert_null(source_script(s, "z"));
	cr_assert_not_null(source_lib(s, "z"));
	cr_assert_not(source_has_links(s));
	source_unref(s);
}

Test(source, names_files_as_the_folder_was_given)
{
	struct err err = ERR_INIT;
	struct source *s = NULL;

	scratch_write(&scratch, "scripts/a.lua", "");
	cr_assert_eq(chdir(scratch.dir), 0);
	cr_assert_eq(source_scan("scripts//", &s, &err), 0);
	cr_assert_str_eq(source_script(s, "a")->chunk, "scripts/a.lua");
	source_unref(s);
}

Test(source, of_an_empty_folder_is_empty)
{
	struct source *s = scan();
	size_t n;

	(void)source_scripts(s, &n);
	cr_assert_eq(n, 0);
	cr_assert_null(source_script(s, "a"));
	source_unref(s);
	source_unref(NULL);
}

Test(source, refuses_a_folder_that_is_missing_or_a_file)
{
	struct err err = ERR_INIT;
	struct source *s = NULL;

	cr_assert_eq(source_scan(scratch_path(&scratch, "none"), &s, &err), -1);
	cr_assert_eq(err.code, ERR_NOT_FOUND);
	scratch_write(&scratch, "file", "");
	cr_assert_eq(source_scan(scratch_path(&scratch, "file"), &s, &err), -1);
	cr_assert_eq(err.code, ERR_NOT_FOUND);
	cr_assert_null(s);
}

Test(source, tells_a_file_that_cannot_be_read_and_reads_the_others)
{
	struct source *s;
	char *big = mem_zalloc(SOURCE_MAX_FILE + 2);

	(void)memset(big, '-', SOURCE_MAX_FILE + 1);
	scratch_write(&scratch, "scripts/good.lua", "return 1");
	scratch_write(&scratch, "scripts/big.lua", big);
	scratch_write(&scratch, "scripts/bad\nname.lua", "return 1");
	cr_assert_eq(
	    symlink("nowhere", scratch_path(&scratch, "scripts/link.lua")), 0);
	cr_assert_eq(
	    mkfifo(scratch_path(&scratch, "scripts/fifo.lua"), 0600), 0);
	s = scan();
	cr_assert_null(source_script(s, "good")->error);
	cr_assert(strstr(source_script(s, "big")->error, "longer than"));
	cr_assert(strstr(source_script(s, "big")->error, "scripts/big.lua: "));
	cr_assert(strstr(source_script(s, "link")->error, "No such file"));
	cr_assert(strstr(source_script(s, "fifo")->error, "not a regular"));
	cr_assert(strstr(source_script(s, "bad\nname")->error, "rename"));
	cr_assert_eq(source_script(s, "big")->text.len, 0);
	cr_assert(source_has_links(s));
	source_unref(s);
	free(big);
}

Test(source, takes_a_file_of_exactly_the_longest_size)
{
	struct source *s;
	char *big = mem_zalloc(SOURCE_MAX_FILE + 1);

	(void)memset(big, '-', SOURCE_MAX_FILE);
	scratch_write(&scratch, "scripts/big.lua", big);
	s = scan();
	cr_assert_null(source_script(s, "big")->error);
	cr_assert_eq(source_script(s, "big")->text.len, SOURCE_MAX_FILE);
	source_unref(s);
	free(big);
}

Test(source, follows_links)
{
	struct source *s;

	scratch_write(&scratch, "real", "return 7");
	cr_assert_eq(
	    symlink("../real", scratch_path(&scratch, "scripts/a.lua")), 0);
	s = scan();
	cr_assert(str_eq(source_script(s, "a")->text, STR("return 7")));
	cr_assert(source_has_links(s));
	source_unref(s);
}

Test(source, sees_the_difference_between_two_moments)
{
	struct source *a, *b;

	scratch_write(&scratch, "scripts/a.lua", "return 1");
	a = scan();
	b = scan();
	cr_assert(source_same(a, b));
	source_unref(b);
	scratch_write(&scratch, "scripts/a.lua", "return 2");
	b = scan();
	cr_assert_not(source_same(a, b));
	cr_assert_not(
	    source_file_same(source_script(a, "a"), source_script(b, "a")));
	cr_assert(
	    source_file_same(source_script(a, "a"), source_script(a, "a")));
	cr_assert_not(source_file_same(source_script(a, "a"), NULL));
	cr_assert(source_file_same(NULL, NULL));
	source_unref(a);
	a = source_ref(b);
	source_unref(b);
	scratch_mkdir(&scratch, "scripts/lib");
	scratch_write(&scratch, "scripts/lib/l.lua", "");
	b = scan();
	cr_assert_not(source_same(a, b));
	source_unref(a);
	source_unref(b);
}

Test(source, fills_in_what_a_worker_is_sent)
{
	struct source *s;
	struct proto_load load;

	scratch_write(&scratch, "scripts/a.lua", "return 1");
	scratch_mkdir(&scratch, "scripts/lib");
	scratch_write(&scratch, "scripts/lib/l.lua", "return 3");
	cr_assert_eq(
	    symlink("nowhere", scratch_path(&scratch, "scripts/lib/m.lua")), 0);
	s = scan();
	source_fill(s, source_script(s, "a"), "default", &load);
	cr_assert_str_eq(load.integration, "default");
	cr_assert_str_eq(load.script, "a");
	cr_assert(str_eq(load.source, STR("return 1")));
	cr_assert_eq(load.nlibs, 1);
	cr_assert(str_eq(load.libs[0].name, STR("l")));
	cr_assert(str_eq(load.libs[0].source, STR("return 3")));
	free(load.libs);
	source_unref(s);
}

Test(source, reads_a_single_script_with_the_libs_beside_it)
{
	struct err err = ERR_INIT;
	struct source *s = NULL;
	size_t n;

	scratch_write(&scratch, "scripts/a.lua", "return 1");
	scratch_write(&scratch, "scripts/b.lua", "return 1");
	scratch_mkdir(&scratch, "scripts/lib");
	scratch_write(&scratch, "scripts/lib/l.lua", "return 3");
	cr_assert_eq(
	    source_one(scratch_path(&scratch, "scripts/a.lua"), &s, &err), 0);
	(void)source_scripts(s, &n);
	cr_assert_eq(n, 1);
	cr_assert_not_null(source_script(s, "a"));
	cr_assert_not_null(source_lib(s, "l"));
	source_unref(s);
	cr_assert_eq(
	    source_one(scratch_path(&scratch, "scripts/c.lua"), &s, &err), -1);
	cr_assert_eq(err.code, ERR_NOT_FOUND);
	cr_assert_eq(
	    source_one(scratch_path(&scratch, "scripts"), &s, &err), -1);
	cr_assert_eq(err.code, ERR_UNAVAILABLE);
}

Test(source, can_be_made_by_hand)
{
	const struct source_file script = {
	    .name = "a", .chunk = "scripts/a.lua", .text = STR("return 1")};
	const struct source_file libs[] = {
	    {.name = "y", .chunk = "scripts/lib/y.lua", .text = STR("2")},
	    {.name = "x", .chunk = "scripts/lib/x.lua", .text = STR("1")},
	};
	struct source *s = source_make(&script, libs, 2);

	cr_assert(str_eq(source_script(s, "a")->text, STR("return 1")));
	cr_assert(str_eq(source_lib(s, "x")->text, STR("1")));
	source_unref(s);
}
