#include <criterion/criterion.h>

#include "base/err.h"
#include "base/mem.h"
#include "dispatch/version.h"
#include "wire/proto.h"
#include "wire/source.h"

#include "unit/scratch.h"

static struct scratch scratch;

static void
setup(void)
{
	scratch_make(&scratch);
}

static void
teardown(void)
{
	scratch_clear(&scratch);
}

TestSuite(version, .init = setup, .fini = teardown);

static struct source *
source_of(const char *text, const char *lib)
{
	const struct source_file script = {
	    .name = "a", .chunk = "scripts/a.lua", .text = str_of(text)};
	const struct source_file libs[] = {
	    {.name = "slack",
		.chunk = "scripts/lib/slack.lua",
		.text = str_of(lib)},
	    {.name = "other",
		.chunk = "scripts/lib/other.lua",
		.text = STR("o")},
	};

	return source_make(&script, libs, lib == NULL ? 0 : 2);
}

static struct version *
version_of(const char *text, const char *lib)
{
	char h1[] = "on_issue", h2[] = "on_error", l1[] = "slack";
	char *handlers[] = {h1, h2}, *libs[] = {l1};
	char declared[] = "{\"schedule\":[{\"name\":\"a\"}]}";
	const struct proto_loaded loaded = {.handlers = handlers,
	    .nhandlers = 2,
	    .libs = libs,
	    .nlibs = lib == NULL ? 0 : 1,
	    .declared = lib == NULL ? NULL : declared};
	struct source *source = source_of(text, lib);
	struct version *v = version_create(source, source_script(source, "a"));

	source_unref(source);
	version_set_loaded(v, &loaded);
	return v;
}

static int
loaded_is(const char *text, const char *lib)
{
	struct err err = ERR_INIT;
	struct version *v = NULL;
	int same;

	cr_assert_eq(version_load(scratch.dir, "default", "a", &v, &err), 0,
	    "%s", err.msg);
	same = str_eq(v->file->text, str_of(text)) && v->nhandlers == 2 &&
	       strcmp(v->handlers[1], "on_error") == 0 &&
	       (lib == NULL ? v->nlibs == 0
			    : v->nlibs == 1 &&
				  str_eq(source_lib(v->source, "slack")->text,
				      str_of(lib)));
	if (lib == NULL)
		cr_assert_null(v->declared);
	else
		cr_assert_str_eq(
		    v->declared, "{\"schedule\":[{\"name\":\"a\"}]}");
	version_unref(v);
	return same;
}

Test(version, comes_back_as_it_was_kept)
{
	static const char *const texts[] = {"", "x = 1", "x = 1\n",
	    "-- moonpost: {}\n", "a\n-- moonpost: {\"length\":1}\n"};
	struct err err = ERR_INIT;
	struct version *v, *back = NULL;
	size_t i;

	for (i = 0; i < NELEMS(texts); i++) {
		v = version_of(texts[i], "return 1");
		cr_assert_eq(version_save(v, scratch.dir, "default", &err), 0,
		    "%s", err.msg);
		cr_assert(loaded_is(texts[i], "return 1"));
		cr_assert_eq(
		    version_load(scratch.dir, "default", "a", &back, &err), 0);
		cr_assert_str_eq(back->id, v->id);
		cr_assert_str_eq(back->file->chunk, "scripts/a.lua");
		cr_assert(version_has_handler(back, "on_issue"));
		cr_assert_not(version_has_handler(back, "on_event"));
		version_unref(back);
		version_unref(v);
	}
}

Test(version, keeps_each_scripts_libs_as_they_were)
{
	struct err err = ERR_INIT;
	struct version *v = version_of("one", "return 1");

	cr_assert_eq(version_save(v, scratch.dir, "default", &err), 0);
	version_unref(v);
	v = version_of("two", "return 2");
	cr_assert_eq(version_save(v, scratch.dir, "default", &err), 0);
	version_unref(v);
	cr_assert(loaded_is("two", "return 2"));
	v = version_of("three", NULL);
	cr_assert_eq(version_save(v, scratch.dir, "default", &err), 0);
	version_unref(v);
	cr_assert(loaded_is("three", NULL));
}

Test(version, has_an_id_of_its_text_and_its_libs)
{
	struct version *a = version_of("one", "return 1");
	struct version *b = version_of("one", "return 2");
	struct version *c = version_of("two", "return 1");

	cr_assert_str_neq(a->id, b->id);
	cr_assert_str_neq(a->id, c->id);
	version_unref(a);
	version_unref(b);
	version_unref(c);
	version_unref(NULL);
}

Test(version, is_the_same_while_what_it_needs_is)
{
	struct version *v = version_of("one", "return 1");
	struct source *s = source_of("one", "return 1");

	cr_assert(version_same(v, s, source_script(s, "a"), 0));
	cr_assert(version_same(v, s, source_script(s, "a"), 1));
	source_unref(s);
	s = source_of("one", "return 2");
	cr_assert_not(version_same(v, s, source_script(s, "a"), 0));
	source_unref(s);
	s = source_of("two", "return 1");
	cr_assert_not(version_same(v, s, source_script(s, "a"), 0));
	source_unref(s);
	s = source_of("one", NULL);
	cr_assert_not(version_same(v, s, source_script(s, "a"), 0));
	cr_assert_not(version_same(v, s, source_script(s, "a"), 1));
	source_unref(s);
	version_unref(v);
}

Test(version, that_was_never_kept_is_not_found)
{
	struct err err = ERR_INIT;
	struct version *v = NULL;

	cr_assert_eq(version_load(scratch.dir, "default", "a", &v, &err), -1);
	cr_assert_eq(err.code, ERR_NOT_FOUND);
	cr_assert_null(v);
}

Test(version, that_is_damaged_is_told)
{
	static const char *const texts[] = {"", "x = 1\n", "x\n-- moonpost: {",
	    "x\n-- moonpost: []\n",
	    "x\n-- moonpost: {\"chunk\":\"c\",\"length\":2,"
	    "\"handlers\":[],\"libs\":[]}\n",
	    "x\n-- moonpost: {\"chunk\":\"c\",\"length\":1,"
	    "\"handlers\":[1],\"libs\":[]}\n",
	    "x\n-- moonpost: {\"chunk\":\"c\",\"length\":1,"
	    "\"handlers\":[],\"libs\":[\"../../../x.lua\"]}\n",
	    "x\n-- moonpost: {\"chunk\":\"c\",\"length\":1,"
	    "\"handlers\":[],\"libs\":[\"x\"]}\n"};
	struct err err = ERR_INIT;
	struct version *v = NULL;
	size_t i;

	scratch_mkdir(&scratch, "scripts");
	scratch_mkdir(&scratch, "scripts/default");
	for (i = 0; i < NELEMS(texts); i++) {
		scratch_write(&scratch, "scripts/default/a.lua", texts[i]);
		cr_assert_eq(
		    version_load(scratch.dir, "default", "a", &v, &err), -1);
		cr_assert_eq(err.code, ERR_INVALID, "%zu: %s", i, err.msg);
	}
}

Test(version, is_swept_when_its_script_is_gone)
{
	const struct source_file other = {
	    .name = "b", .chunk = "scripts/b.lua", .text = STR("")};
	struct err err = ERR_INIT;
	struct version *v = version_of("one", "return 1");
	struct source *s = source_of("one", "return 1");
	char *path;

	cr_assert_eq(version_save(v, scratch.dir, "default", &err), 0);
	cr_assert_eq(
	    version_set_paused(scratch.dir, "default", "a", 1, &err), 0);
	version_unref(v);
	v = version_of("one", "return 2");
	cr_assert_eq(version_save(v, scratch.dir, "default", &err), 0);
	version_unref(v);

	/* The lib that nobody needs goes, the other stays. */
	version_sweep(scratch.dir, "default", s);
	cr_assert(loaded_is("one", "return 2"));
	cr_assert(version_is_paused(scratch.dir, "default", "a"));
	source_unref(s);
	s = source_make(&other, NULL, 0);
	version_sweep(scratch.dir, "default", s);
	source_unref(s);
	cr_assert_eq(version_load(scratch.dir, "default", "a", &v, &err), -1);
	cr_assert_eq(err.code, ERR_NOT_FOUND);
	/* Its jobs wait, and somebody held them. */
	cr_assert(version_is_paused(scratch.dir, "default", "a"));
	path = mem_printf("%s/scripts/default/lib", scratch.dir);
	cr_assert_eq(rmdir(path), 0, "a lib is left");
	free(path);
}

Test(version, remembers_that_a_script_is_paused)
{
	struct err err = ERR_INIT;

	cr_assert_not(version_is_paused(scratch.dir, "default", "a"));
	cr_assert_eq(
	    version_set_paused(scratch.dir, "default", "a", 0, &err), 0);
	cr_assert_eq(
	    version_set_paused(scratch.dir, "default", "a", 1, &err), 0);
	cr_assert(version_is_paused(scratch.dir, "default", "a"));
	cr_assert_eq(
	    version_set_paused(scratch.dir, "default", "a", 0, &err), 0);
	cr_assert_not(version_is_paused(scratch.dir, "default", "a"));
}

Test(version, tells_a_disk_that_refuses)
{
	struct err err = ERR_INIT;
	struct version *v = version_of("one", NULL);

	scratch_write(&scratch, "scripts", "a file in the way");
	cr_assert_eq(version_save(v, scratch.dir, "default", &err), -1);
	cr_assert_eq(err.code, ERR_UNAVAILABLE);
	cr_assert_eq(
	    version_set_paused(scratch.dir, "default", "a", 1, &err), -1);
	cr_assert_eq(err.code, ERR_UNAVAILABLE);
	version_unref(v);
}
