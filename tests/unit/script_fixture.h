#ifndef UNIT_SCRIPT_FIXTURE_H_
#define UNIT_SCRIPT_FIXTURE_H_

/*
 * A bundle without a worker around it, for the tests of src/script.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <event2/event.h>

#include "base/buf.h"
#include "base/mem.h"
#include "script/bundle.h"

#define JOBS_MAX 64

static struct bundle_env env;
static struct proto_page page;
static struct bundle *bundle;
static struct proto_loaded loaded;
static struct proto_outcome outcomes[JOBS_MAX]; /* By job. */
static int ended[JOBS_MAX];
static struct buf logged; /* "level message key=json ...\n" */
static int secrets_asked;

static void
fix_log(void *cookie, uint64_t job, const struct proto_log *log)
{
	static const char *const levels[] = {"debug", "info", "warn", "error"};
	size_t i;

	(void)cookie;
	(void)job;
	buf_printf(&logged, "%s %s", levels[log->level], log->message);
	for (i = 0; i < log->nfields; i++) {
		buf_putc(&logged, ' ');
		buf_put(
		    &logged, log->fields[i].key.data, log->fields[i].key.len);
		buf_putc(&logged, '=');
		buf_put(
		    &logged, log->fields[i].json.data, log->fields[i].json.len);
	}
	buf_putc(&logged, '\n');
}

static char *
fix_secret(void *cookie, uint64_t id, const char *name)
{
	(void)cookie;
	(void)id;
	secrets_asked++;
	if (strcmp(name, "JIRA_URL") == 0 || strcmp(name, "env:HOME_URL") == 0)
		return mem_strdup("https://jira.example");
	return NULL;
}

static void
fix_done(void *cookie, uint64_t job, const struct proto_outcome *outcome)
{
	(void)cookie;
	cr_assert_lt(job, JOBS_MAX);
	cr_assert_not(ended[job], "job %d ended twice", (int)job);
	ended[job] = 1;
	outcomes[job] = *outcome;
	outcomes[job].error = mem_strdup(outcome->error);
	outcomes[job].traceback = mem_strdup(outcome->traceback);
}

static void
fix_setup(void)
{
	env.base = event_base_new();
	env.limits.mem_bytes = 16U << 20;
	env.limits.cpu_ms = 100;
	env.limits.handler_ms = 5000;
	env.host.log = fix_log;
	env.host.secret = fix_secret;
	env.host.page = &page;
	env.done = fix_done;
}

static void
fix_teardown(void)
{
	size_t i;

	bundle_free(bundle);
	bundle = NULL;
	proto_loaded_clear(&loaded);
	for (i = 0; i < JOBS_MAX; i++)
		proto_outcome_clear(&outcomes[i]);
	buf_free(&logged);
	event_base_free(env.base);
}

/* Load ${source} with the lib "helper", whether or not it succeeds. */
static inline void
fix_try_load(const char *source)
{
	char integration[] = "default", script[] = "on_x",
	     chunk[] = "scripts/on_x.lua";
	struct proto_lib libs[] = {
	    {STR("helper"), STR("local n = ... return {twice = function(x) "
				"return x * 2 end, name = n}")},
	    {STR("broken"), STR("local x =\n= 1")},
	    {STR("selfish"), STR("return require 'selfish'")},
	    {STR("endless"), STR("while true do end")},
	    {STR("sleepy"), STR("sleep(0)")},
	    {STR("none"), STR("x = 1")},
	    {STR("ping"), STR("return require 'pong'")},
	    {STR("pong"), STR("local p = pcall\nreturn require 'peng'")},
	    {STR("peng"), STR("\n\nreturn require 'ping'")},
	    {STR("lazy"), STR("return function() return require 'lazier' end")},
	    {STR("lazier"), STR("return 'lazier'")},
	    {STR("wants-broken"), STR("\nrequire 'broken'")},
	};
	struct proto_load load = {
	    integration, script, chunk, str_of(source), libs, NELEMS(libs)};

	bundle_free(bundle);
	proto_loaded_clear(&loaded);
	bundle = bundle_load(&env, 7, &load, &loaded);
}

static inline void
fix_load(const char *source)
{
	fix_try_load(source);
	cr_assert_not_null(bundle, "%s\n%s", loaded.error, loaded.traceback);
}

/* Start job ${id} of on_x with ${body}. */
static inline void
fix_start(uint64_t id, const char *body)
{
	char handler[] = "on_x", delivery[] = "42", integration[] = "default";
	char resource[] = "issue", action[] = "created", request[] = "r-1";
	struct proto_run run = {7, handler, delivery, integration, resource,
	    resource, action, request, 1700000000123, 1,
	    STR("{\"Sentry-Hook-Resource\":\"issue\",\"sentry-hook-signature\":"
		"\"abc\",\"Sentry-Hook-Timestamp\":\"1700000001\","
		"\"X-N\":\"1\"}"),
	    {NULL, 0}, str_of(body), NULL, 0};

	bundle_run(bundle, id, &run);
}

static inline void
fix_wait(uint64_t id)
{
	while (!ended[id])
		cr_assert_eq(event_base_loop(env.base, EVLOOP_ONCE), 0);
}

/* Load ${source}, run on_x once to its end and return the outcome. */
static inline struct proto_outcome *
fix_run(const char *source)
{
	fix_load(source);
	fix_start(1, "{\"action\":\"created\",\"data\":{\"n\":1}}");
	fix_wait(1);
	return &outcomes[1];
}

/* The body of on_x runs well. */
static inline void
fix_good(const char *body)
{
	char *source = mem_printf("function on_x(event) %s end", body);
	struct proto_outcome *o = fix_run(source);

	free(source);
	cr_assert_eq(o->result, PROTO_DONE, "%s\n%s\n%s", body, o->error,
	    o->traceback == NULL ? "" : o->traceback);
}

/* The body of on_x ends in an error that has ${part} in it. */
static inline void
fix_bad(const char *body, const char *part)
{
	char *source = mem_printf("function on_x(event) %s end", body);
	struct proto_outcome *o = fix_run(source);

	free(source);
	cr_assert_eq(o->result, PROTO_ERROR, "%s", body);
	cr_assert_not_null(o->error);
	cr_assert_not_null(strstr(o->error, part), "%s\n%s", body, o->error);
}

#endif /* !UNIT_SCRIPT_FIXTURE_H_ */
