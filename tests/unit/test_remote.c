#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/err.h"
#include "wire/remote.h"

#include "unit/fakeworker.h"

static struct remote *remote;

static const char *
secret(void *cookie, const char *name)
{
	cr_assert_eq(cookie, &remote);
	return strcmp(name, "env:HOME") == 0 ? "\"/home\"" : NULL;
}

static void
setup(void)
{
	const struct remote_options options = {
	    .setup = {.mem_bytes = 1 << 26, .cpu_ms = 1000},
	    .deadline_ms = 20000,
	    .secret = secret,
	    .cookie = &remote};

	remote = remote_open(&options);
}

static void
teardown(void)
{
	remote_close(remote);
	remote_close(NULL);
}

TestSuite(remote, .init = setup, .fini = teardown, .timeout = 60);

static int
load(const char *text, struct proto_loaded *loaded, struct err *err)
{
	char integration[] = "default", script[] = "a", chunk[] = "s/a.lua";
	const struct proto_load m = {.integration = integration,
	    .script = script,
	    .chunk = chunk,
	    .source = str_of(text)};

	return remote_load(remote, &m, loaded, err);
}

Test(remote, tells_what_a_script_offers)
{
	struct proto_loaded loaded = {0};
	struct err err = ERR_INIT;

	cr_assert_eq(load("on_issue: done\non_error: done", &loaded, &err), 0,
	    "%s", err.msg);
	cr_assert_null(loaded.error);
	cr_assert_eq(loaded.nhandlers, 2);
	cr_assert_str_eq(loaded.handlers[1], "on_error");
	proto_loaded_clear(&loaded);
}

Test(remote, tells_why_a_script_does_not_load)
{
	struct proto_loaded loaded = {0};
	struct err err = ERR_INIT;

	cr_assert_eq(load("fail no", &loaded, &err), 0);
	cr_assert_str_eq(loaded.error, "s/a.lua:1: no");
	proto_loaded_clear(&loaded);
}

Test(remote, loads_one_after_the_other)
{
	struct proto_loaded loaded = {0};
	struct err err = ERR_INIT;
	int i;

	for (i = 0; i < 3; i++) {
		cr_assert_eq(load("on_issue: done", &loaded, &err), 0);
		cr_assert_eq(loaded.nhandlers, 1);
		proto_loaded_clear(&loaded);
	}
}

Test(remote, gives_up_at_the_deadline_and_goes_on)
{
	const struct remote_options options = {
	    .setup = {.cpu_ms = 1000}, .deadline_ms = 300};
	struct proto_loaded loaded = {0};
	struct err err = ERR_INIT;
	uint64_t from = clock_mono_ms();

	remote_close(remote);
	remote = remote_open(&options);
	cr_assert_eq(load("hang", &loaded, &err), -1);
	cr_assert_eq(err.code, ERR_TIMEOUT);
	cr_assert_str_eq(
	    err.msg, "s/a.lua did not finish loading within 0.3 s");
	cr_assert_geq(clock_mono_ms() - from, 300);
	teardown();
	setup();
	cr_assert_eq(load("on_issue: done", &loaded, &err), 0);
	proto_loaded_clear(&loaded);
}

Test(remote, survives_a_crash)
{
	struct proto_loaded loaded = {0};
	struct err err = ERR_INIT;

	cr_assert_eq(load("crash", &loaded, &err), -1);
	cr_assert_eq(err.code, ERR_INTERNAL);
	cr_assert(strstr(err.msg, "s/a.lua: the worker process died of it"),
	    "%s", err.msg);
	cr_assert_eq(load("on_issue: done", &loaded, &err), 0);
	proto_loaded_clear(&loaded);
}

Test(remote, evaluates_configuration)
{
	struct err err = ERR_INIT;
	char *json = NULL;

	cr_assert_eq(remote_eval(remote, "m.lua", "{}", &json, &err), 0);
	cr_assert_str_eq(json, "{}");
	free(json);
	cr_assert_eq(
	    remote_eval(remote, "m.lua", "env env:HOME", &json, &err), 0);
	cr_assert_str_eq(json, "\"/home\"");
	free(json);
	cr_assert_eq(remote_eval(remote, "m.lua", "fail", &json, &err), -1);
	cr_assert_eq(err.code, ERR_INVALID);
	cr_assert_str_eq(err.msg, "x.lua:1: fail");
	cr_assert_eq(remote_eval(remote, "m.lua", "crash", &json, &err), -1);
	cr_assert_eq(err.code, ERR_INTERNAL);
}

Test(remote, refuses_a_program_that_is_not_there)
{
	const struct remote_options options = {
	    .program = "/nonexistent/moonpost", .deadline_ms = 1000};
	struct err err = ERR_INIT;
	char *json = NULL;

	remote_close(remote);
	remote = remote_open(&options);
	cr_assert_eq(remote_eval(remote, "m.lua", "{}", &json, &err), -1);
	cr_assert_eq(err.code, ERR_UNAVAILABLE);
}
