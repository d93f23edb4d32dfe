#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

#include "config/config.h"
#include "config/option.h"

#define ARGS(...) ((char *const[]){__VA_ARGS__, NULL})

/* A finished config of what a command line and an environment say. */
static struct config *
configured(unsigned int commands, char *const *args, char *const *env)
{
	struct config *config = config_create();
	struct err err = ERR_INIT;
	char **rest = NULL;
	size_t nrest;

	cr_assert(
	    config_set_args(config, commands, args, &rest, &nrest, &err) == 0,
	    "%s", err.msg);
	cr_assert(config_set_env(config, env, &err) == 0, "%s", err.msg);
	cr_assert(config_finish(config, &err) == 0, "%s", err.msg);
	free(rest);
	return config;
}

static char *const no_env[] = {NULL};

/* What is said about a wrong command line of serve. */
static void
refused(char *const *args, const char *message)
{
	struct config *config = config_create();
	struct err err = ERR_INIT;
	char **rest = NULL;
	size_t nrest;

	if (config_set_args(
		config, OPTION_FOR_SERVE, args, &rest, &nrest, &err) == 0) {
		free(rest);
		cr_assert(config_finish(config, &err) == -1,
		    "was accepted; expected: %s", message);
	}
	cr_expect_str_eq(err.msg, message);
	cr_expect_eq(err.code, ERR_INVALID);
	config_free(config);
}

Test(config, has_the_documented_defaults)
{
	struct config *c = configured(OPTION_FOR_SERVE, no_env, no_env);

	cr_expect_str_eq(c->listen.text, "127.0.0.1:8080");
	cr_expect_str_eq(c->listen.host, "127.0.0.1");
	cr_expect_eq(c->listen.port, 8080);
	cr_expect_str_eq(c->scripts, "scripts");
	cr_expect_str_eq(c->data, "data");
	cr_expect_str_eq(c->store_path, "data");
	cr_expect_eq(c->validation, CONFIG_STRICT);
	cr_expect_eq(c->dedupe, CONFIG_DEDUPE_KEY);
	cr_expect_eq(c->dedupe_window_ms, 3600000);
	cr_expect_eq(c->retry_attempts, 16);
	cr_expect_eq(c->retry_base_ms, 1000);
	cr_expect_eq(c->retry_max_ms, 3600000);
	cr_expect_eq(c->handler_timeout_ms, 30000);
	cr_expect_eq(c->memory_limit, 64 << 20);
	cr_expect_eq(c->cpu_limit_ms, 1000);
	cr_expect_eq(c->concurrency, 32);
	cr_expect_eq(c->retain_done_ms, UINT64_C(7) * 86400000);
	cr_expect_eq(c->retain_dead_ms, UINT64_C(30) * 86400000);
	cr_expect_eq(c->store_max_bytes, UINT64_C(8) << 30);
	cr_expect_eq(c->max_body, 1 << 20);
	cr_expect_eq(c->request_timeout_ms, 10000);
	cr_expect_eq(c->max_age_ms, 0);
	cr_expect_eq(c->log_level, LOG_INFO);
	cr_expect_neq(c->log, CONFIG_LOG_AUTO);
	cr_expect(c->keep_unhandled);
	cr_expect_not(c->dev);
	cr_expect_geq(c->workers, 1);
	cr_expect_eq(c->ingress_threads, 1);
	cr_expect_eq(c->schemas.n, 0);
	cr_expect_null(c->secrets);
	cr_expect_null(c->tls_cert);
	cr_expect_eq(c->nintegrations, 1);
	cr_expect_str_eq(c->integrations[0].name, "default");
	cr_expect_str_eq(c->integrations[0].sentry_url, "https://sentry.io");
	cr_expect_eq(c->integrations[0].client_secrets.n, 0);
	config_free(c);
}

Test(config, reads_every_type_from_flags)
{
	struct config *c = configured(OPTION_FOR_SERVE,
	    ARGS("--scripts", "h", "--validation=warn", "--dev",
		"--keep-unhandled", "off", "--retry-max", "90s",
		"--max-body=2MiB", "--workers", "3", "--listen=[::1]:0",
		"--schema", "a.yml", "--schema=b.yml", "--max-age", "off",
		"--store", "sqlite:/srv/q", "--log", "json"),
	    no_env);

	cr_expect_str_eq(c->scripts, "h");
	cr_expect_eq(c->validation, CONFIG_WARN);
	cr_expect(c->dev);
	cr_expect_not(c->keep_unhandled);
	cr_expect_eq(c->retry_max_ms, 90000);
	cr_expect_eq(c->max_body, 2 << 20);
	cr_expect_eq(c->workers, 3);
	cr_expect_str_eq(c->listen.host, "::1");
	cr_expect_eq(c->listen.port, 0);
	cr_assert_eq(c->schemas.n, 2);
	cr_expect_str_eq(c->schemas.items[0], "a.yml");
	cr_expect_str_eq(c->schemas.items[1], "b.yml");
	cr_expect_str_eq(c->store_path, "/srv/q");
	/* Said outright, it holds in development too. */
	cr_expect_eq(c->log, CONFIG_LOG_JSON);
	config_free(c);
}

Test(config, takes_the_last_of_a_repeated_flag_and_no_turns_off)
{
	struct config *c = configured(OPTION_FOR_SERVE,
	    ARGS("--workers=2", "--workers=4", "--dev", "--no-dev",
		"--no-keep-unhandled"),
	    no_env);

	cr_expect_eq(c->workers, 4);
	cr_expect_not(c->dev);
	cr_expect_not(c->keep_unhandled);
	config_free(c);
}

Test(config, logs_for_people_in_development)
{
	struct config *c = configured(OPTION_FOR_SERVE, ARGS("--dev"), no_env);

	cr_expect_eq(c->log, CONFIG_LOG_PRETTY);
	config_free(c);
}

Test(config, gives_back_what_is_no_flag)
{
	struct config *config = config_create();
	struct err err = ERR_INIT;
	char **rest;
	size_t n;

	cr_assert_eq(
	    config_set_args(config, OPTION_FOR_SEND,
		ARGS("issue.created", "--json", "-", "--", "--count", "-h"),
		&rest, &n, &err),
	    0);
	cr_assert_eq(n, 4);
	cr_expect_str_eq(rest[0], "issue.created");
	cr_expect_str_eq(rest[1], "-");
	cr_expect_str_eq(rest[2], "--count");
	cr_expect_str_eq(rest[3], "-h");
	cr_expect_null(rest[4]);
	free(rest);
	config_free(config);
}

Test(config, does_not_look_behind_a_call_for_help)
{
	const char *const forms[] = {"-h", "--help"};
	struct err err = ERR_INIT;
	struct config *config;
	char **rest;
	size_t n, i;

	for (i = 0; i < 2; i++) {
		config = config_create();
		cr_assert_eq(config_set_args(config, OPTION_FOR_SEND,
				 ARGS("x", (char *)forms[i], "--bogus"), &rest,
				 &n, &err),
		    0);
		cr_expect_str_eq(config_text(config, "help"), "on");
		free(rest);
		config_free(config);
	}
}

Test(config, says_what_a_flag_may_be)
{
	refused(ARGS("--retry-max", "5 parsecs"),
	    "--retry-max: '5 parsecs' is not a duration (examples: 500ms, 2s, "
	    "10m, 1h, 7d)");
	refused(ARGS("--retry-max=60d"),
	    "--retry-max: '60d' is out of range (1ms to 30d)");
	refused(ARGS("--max-age=1ms"),
	    "--max-age: '1ms' is out of range (1s to 365d, or off)");
	refused(ARGS("--max-body", "huge"),
	    "--max-body: 'huge' is not a size (examples: 65536, 64KiB, 1MiB, "
	    "8GiB)");
	refused(ARGS("--max-body", "1GiB"),
	    "--max-body: '1GiB' is out of range (1KiB to 64MiB)");
	refused(
	    ARGS("--workers", "-1"), "--workers: '-1' is not a whole number");
	refused(ARGS("--ingress-threads", "0"),
	    "--ingress-threads: '0' is out of range (1 to 64 threads)");
	refused(ARGS("--validation", "stric"),
	    "--validation: 'stric' is not one of strict, warn, off; did you "
	    "mean 'strict'?");
	refused(ARGS("--dedupe", "never"),
	    "--dedupe: 'never' is not one of key, signature, off");
	refused(ARGS("--keep-unhandled", "maybe"),
	    "--keep-unhandled: 'maybe' is neither on nor off (true, false, "
	    "yes, no, 1 and 0 will do too)");
	refused(ARGS("--scripts", ""), "--scripts: is empty, give a DIR");
	refused(
	    ARGS("--store", "mysql:x"), "--store: 'mysql:x' is not sqlite:DIR");
}

Test(config, says_what_an_address_is)
{
	static const char *const bad[] = {"8080", ":8080", "localhost",
	    "localhost:", "localhost:http", "localhost:65536", "::1:8080",
	    "[]:1", ""};
	char message[300];
	size_t i;

	for (i = 0; i < NELEMS(bad); i++) {
		(void)snprintf(message, sizeof(message),
		    "--listen: '%s' is not HOST:PORT (examples: "
		    "127.0.0.1:8080, [::1]:8080, 0.0.0.0:80)",
		    bad[i]);
		refused(ARGS("--listen", (char *)bad[i]), message);
	}
}

Test(config, refuses_unknown_flags_and_suggests)
{
	refused(ARGS("--lisen=x"),
	    "unknown option --lisen; did you mean --listen?");
	refused(ARGS("--frobnicate"), "unknown option --frobnicate");
	/* A flag of another command is none of this one. */
	refused(ARGS("--count=2"), "unknown option --count");
	refused(ARGS("--no-listen"), "unknown option --no-listen");
	refused(ARGS("--no-dev=on"), "--no-dev: takes no value");
	refused(ARGS("--workers"), "--workers: needs a value: --workers N");
	refused(ARGS("-w"),
	    "unknown option -w; options are written out: --name value");
	/* A secret on the command line can be read by everybody. */
	refused(ARGS("--client-secret=x"), "unknown option --client-secret");
}

Test(config, checks_options_against_each_other)
{
	refused(ARGS("--tls-cert=c.pem"),
	    "--tls-cert and --tls-key need each other: --tls-key is missing");
	refused(ARGS("--retry-base=2h"),
	    "--retry-base: '2h' is above --retry-max, which is '1h'");
}

Test(config, obeys_flag_before_environment_before_file)
{
	struct config *c = config_create();
	struct err err = ERR_INIT;
	char **rest;
	size_t n;

	/* In the order in which the sources are read. */
	cr_assert_eq(config_set_args(c, OPTION_FOR_SERVE,
			 ARGS("--workers=1", "--schema=flag"), &rest, &n, &err),
	    0);
	cr_assert_eq(config_set_env(c,
			 ARGS("MOONPOST_WORKERS=2", "MOONPOST_CONCURRENCY=2",
			     "MOONPOST_SCHEMA=env1, env2", "MOONPOST_LOG=",
			     "MOONPOST_WORKERSX=9", "PATH=/bin"),
			 &err),
	    0);
	cr_assert_eq(config_set_key(c, "workers", "3", "m.lua", &err), 0);
	cr_assert_eq(config_set_key(c, "concurrency", "3", "m.lua", &err), 0);
	cr_assert_eq(
	    config_set_key(c, "retry_attempts", "3", "m.lua", &err), 0);
	cr_assert_eq(config_set_key(c, "retry-base", "3s", "m.lua", &err), 0);
	cr_assert_eq(config_set_key(c, "schema", "file", "m.lua", &err), 0);
	cr_assert_eq(config_finish(c, &err), 0);

	cr_expect_eq(c->workers, 1);
	cr_expect_eq(c->concurrency, 2);
	cr_expect_eq(c->retry_attempts, 3);
	cr_expect_eq(c->retry_base_ms, 3000);
	cr_assert_eq(c->schemas.n, 1);
	cr_expect_str_eq(c->schemas.items[0], "flag");
	cr_expect_eq(config_source(c, option_find_key("workers")), CONFIG_FLAG);
	cr_expect_eq(
	    config_source(c, option_find_key("concurrency")), CONFIG_ENV);
	cr_expect_eq(
	    config_source(c, option_find_key("retry_attempts")), CONFIG_FILE);
	cr_expect_eq(
	    config_source(c, option_find_key("listen")), CONFIG_DEFAULT);
	free(rest);
	config_free(c);
}

Test(config, splits_lists_of_the_environment)
{
	struct config *c = configured(OPTION_FOR_SERVE, no_env,
	    ARGS("MOONPOST_SCHEMA= a.yml,,b c.yml ,",
		"SENTRY_CLIENT_SECRET=new, old", "SENTRY_CLIENT_ID=id",
		"SENTRY_URL=http://localhost:9000//"));
	const struct config_integration *first = &c->integrations[0];

	cr_assert_eq(c->schemas.n, 2);
	cr_expect_str_eq(c->schemas.items[0], "a.yml");
	cr_expect_str_eq(c->schemas.items[1], "b c.yml");
	cr_assert_eq(first->client_secrets.n, 2);
	cr_expect_str_eq(first->client_secrets.items[0], "new");
	cr_expect_str_eq(first->client_secrets.items[1], "old");
	cr_expect_str_eq(first->client_id, "id");
	cr_expect_str_eq(first->sentry_url, "http://localhost:9000");
	config_free(c);
}

Test(config, names_the_source_of_what_is_wrong)
{
	struct config *c = config_create();
	struct err err = ERR_INIT;

	cr_expect_eq(
	    config_set_env(c, ARGS("MOONPOST_RETRY_MAX=soon"), &err), -1);
	cr_expect_str_eq(err.msg, "MOONPOST_RETRY_MAX: 'soon' is not a "
				  "duration (examples: 500ms, 2s, 10m, 1h, "
				  "7d)");
	cr_expect_eq(config_set_key(c, "max_body", "x", "a/m.lua", &err), -1);
	cr_expect_str_eq(err.msg, "a/m.lua: max_body: 'x' is not a size "
				  "(examples: 65536, 64KiB, 1MiB, 8GiB)");
	cr_expect_eq(config_set_key(c, "retry_mx", "1s", "m.lua", &err), -1);
	cr_expect_eq(err.code, ERR_NOT_FOUND);
	cr_expect_str_eq(err.msg,
	    "m.lua: unknown key 'retry_mx'; did you mean 'retry_max'?");
	/* What is asked once is no setting. */
	cr_expect_eq(config_set_key(c, "count", "3", "m.lua", &err), -1);
	cr_expect_eq(err.code, ERR_NOT_FOUND);

	/* Also where a flag would win. */
	cr_expect_eq(config_set_key(c, "workers", "many", "m.lua", &err), -1);
	config_free(c);
}

Test(config, never_tells_a_secret)
{
	struct config *c = config_create();
	struct err err = ERR_INIT;

	cr_expect_eq(
	    config_set_env(c, ARGS("SENTRY_CLIENT_SECRET= , "), &err), -1);
	cr_expect_str_eq(
	    err.msg, "SENTRY_CLIENT_SECRET: is empty, give a SECRET");
	config_free(c);
}

Test(config, knows_further_integrations)
{
	struct config *c = config_create();
	const struct config_integration *it;
	struct err err = ERR_INIT;

	cr_assert_eq(config_set_key(c, "client_secret", "s0", "m", &err), 0);
	cr_assert_eq(
	    config_set_integration(c, "acme", "client_secret", "s1", "m", &err),
	    0);
	cr_assert_eq(
	    config_set_integration(c, "acme", "client_secret", "s2", "m", &err),
	    0);
	cr_assert_eq(
	    config_set_integration(c, "acme", "scripts", "acme/", "m", &err),
	    0);
	cr_assert_eq(
	    config_set_integration(c, "acme", "client_id", "i1", "m", &err), 0);
	cr_assert(config_finish(c, &err) == 0, "%s", err.msg);

	cr_assert_eq(c->nintegrations, 2);
	cr_expect_str_eq(c->integrations[0].name, "default");
	cr_expect_str_eq(c->integrations[0].client_secrets.items[0], "s0");
	it = config_find_integration(c, "acme");
	cr_assert_not_null(it);
	cr_expect_eq(it->client_secrets.n, 2);
	cr_expect_str_eq(it->client_id, "i1");
	cr_expect_str_eq(it->scripts, "acme/");
	cr_expect_str_eq(it->sentry_url, "https://sentry.io");
	cr_expect_null(config_find_integration(c, "other"));
	config_free(c);
}

Test(config, knows_who_is_exempted)
{
	struct config *c = config_create();
	struct err err = ERR_INIT;

	cr_assert_eq(
	    config_set_env(c, ARGS("MOONPOST_UNSAFE_STDLIB=a,acme/b, c"), &err),
	    0);
	cr_assert(config_finish(c, &err) == 0, "%s", err.msg);
	cr_expect(config_is_unsafe(c, "default", STR("a")));
	cr_expect(config_is_unsafe(c, "acme", STR("b")));
	cr_expect(config_is_unsafe(c, "default", STR("c")));
	/* Only the whole of a name is one, in its own integration. */
	cr_expect_not(config_is_unsafe(c, "acme", STR("a")));
	cr_expect_not(config_is_unsafe(c, "default", STR("b")));
	cr_expect_not(config_is_unsafe(c, "default", STR("acme/b")));
	cr_expect_not(config_is_unsafe(c, "default", STR("aa")));
	cr_expect_not(config_is_unsafe(c, "default", STR("")));
	config_free(c);
}

/* A config with one further integration, and maybe a second one. */
static struct config *
integrated(const char *secret, const char *scripts, const char *second)
{
	struct config *c = config_create();
	struct err err = ERR_INIT;

	cr_assert_eq(
	    config_set_integration(c, "a", "client_secret", secret, "m", &err),
	    0);
	cr_assert_eq(
	    config_set_integration(c, "a", "scripts", scripts, "m", &err), 0);
	if (second != NULL) {
		cr_assert_eq(config_set_integration(
				 c, second, "scripts", "s", "m", &err),
		    0);
		cr_assert_eq(config_set_integration(
				 c, second, "client_secret", "s", "m", &err),
		    0);
	}
	cr_assert_eq(config_finish(c, &err), 0, "%s", err.msg);
	return c;
}

Test(config, tells_other_integrations_from_other_secrets)
{
	struct config *old = integrated("s1", "dir", NULL);
	struct config *secret = integrated("s2", "dir", NULL);
	struct config *scripts = integrated("s1", "other", NULL);
	struct config *more = integrated("s1", "dir", "b");

	cr_expect_not(config_integrations_differ(old, old));
	cr_expect_not(config_integrations_differ(old, secret));
	cr_expect(config_integrations_differ(old, scripts));
	cr_expect(config_integrations_differ(old, more));
	cr_expect(config_integrations_differ(more, old));
	config_free(old);
	config_free(secret);
	config_free(scripts);
	config_free(more);
}

Test(config, refuses_half_an_integration)
{
	struct config *c = config_create();
	struct err err = ERR_INIT;

	cr_assert_eq(
	    config_set_integration(c, "a", "client_secret", "s", "m", &err), 0);
	cr_expect_eq(config_finish(c, &err), -1);
	cr_expect_str_eq(err.msg, "integrations.a: has no scripts folder");
	config_free(c);

	c = config_create();
	cr_expect_eq(
	    config_set_integration(c, "a", "script", "s", "m.lua", &err), -1);
	cr_expect_str_eq(err.msg,
	    "m.lua: unknown key 'integrations.a.script'; did you mean "
	    "'scripts'?");
	cr_expect_eq(
	    config_set_integration(c, "a", "scripts", " ", "m.lua", &err), -1);
	cr_expect_eq(err.code, ERR_INVALID);
	cr_expect_eq(
	    config_set_integration(c, "../etc", "scripts", "s", "m.lua", &err),
	    -1);
	cr_expect_eq(
	    config_set_integration(c, "default", "scripts", "s", "m.lua", &err),
	    -1);
	cr_expect_eq(
	    config_set_integration(c, "A B", "scripts", "s", "m", &err), -1);
	cr_expect_eq(c->nintegrations, 0);
	config_free(c);
}

Test(config, refuses_an_address_of_sentry_that_is_none)
{
	static const char *const bad[] = {
	    "sentry.io", "ftp://sentry.io", "https://", "/", "http:/x"};
	struct err err = ERR_INIT;
	struct config *c;
	size_t i;

	for (i = 0; i < NELEMS(bad); i++) {
		c = config_create();
		cr_assert_eq(
		    config_set_key(c, "sentry_url", bad[i], "m.lua", &err), 0);
		cr_expect_eq(config_finish(c, &err), -1, "%s", bad[i]);
		config_free(c);
	}
}

Test(config, keeps_flags_and_environment_for_a_reload)
{
	struct config *old = config_create(), *new;
	const struct option *change;
	struct err err = ERR_INIT;
	char **rest;
	size_t n;

	cr_assert_eq(config_set_args(old, OPTION_FOR_SERVE, ARGS("--workers=2"),
			 &rest, &n, &err),
	    0);
	cr_assert_eq(
	    config_set_env(old, ARGS("MOONPOST_CONCURRENCY=4"), &err), 0);
	cr_assert_eq(config_set_key(old, "max_age", "5m", "m", &err), 0);
	cr_assert_eq(config_set_key(old, "listen", "[::1]:1", "m", &err), 0);
	cr_assert_eq(config_set_key(old, "retain_done", "7d", "m", &err), 0);
	cr_assert_eq(config_finish(old, &err), 0);

	/* The file has changed since. */
	new = config_create_again(old);
	cr_assert_eq(config_set_key(new, "max_age", "6m", "m", &err), 0);
	cr_assert_eq(config_set_key(new, "workers", "9", "m", &err), 0);
	cr_assert_eq(config_finish(new, &err), 0);
	cr_expect_eq(new->workers, 2);
	cr_expect_eq(new->concurrency, 4);
	cr_expect_eq(new->max_age_ms, 360000);
	cr_expect_eq(new->listen.port, 8080);

	/* A default that is written out is no change. */
	change = config_next_change(old, new, NULL);
	cr_assert_not_null(change);
	cr_expect_str_eq(change->name, "listen");
	cr_expect_eq(change->flags & OPTION_RELOADABLE, 0);
	change = config_next_change(old, new, change);
	cr_assert_not_null(change);
	cr_expect_str_eq(change->name, "max-age");
	cr_expect_neq(change->flags & OPTION_RELOADABLE, 0);
	cr_expect_null(config_next_change(old, new, change));

	free(rest);
	config_free(old);
	config_free(new);
}

Test(config, free_takes_null_and_what_was_never_finished)
{
	struct config *c = config_create();
	struct err err = ERR_INIT;

	config_free(NULL);
	cr_assert_eq(config_set_key(c, "schema", "x", "m", &err), 0);
	config_free(c);
}

Test(option, table_is_in_order_and_whole)
{
	const struct option *o;
	char name[OPTION_NAME_SIZE];
	size_t i;

	for (i = 0; i < option_count; i++) {
		o = &option_table[i];
		cr_expect(
		    i == 0 || strcmp(option_table[i - 1].name, o->name) <= 0,
		    "%s is not in its place", o->name);
		cr_expect_gt(strlen(o->help), 0);
		cr_expect_neq(o->commands, 0, "%s", o->name);
		cr_expect_lt(strlen(o->name), 30);
		cr_expect(o->metavar != NULL || o->type == OPTION_BOOL, "%s",
		    o->name);
		cr_expect_eq(o->type == OPTION_ENUM, o->choices != NULL);
		cr_expect_eq(
		    o->type == OPTION_COUNT, o->unit != NULL, "%s", o->name);
		if (o->type == OPTION_DURATION || o->type == OPTION_SIZE ||
		    o->type == OPTION_COUNT)
			cr_expect_lt(o->min, o->max, "%s", o->name);
		/* Every option can be said somehow. */
		cr_expect((o->flags & OPTION_NO_FLAG) == 0 ||
			      option_env(o, name)[0] != '\0',
		    "%s", o->name);
	}
}

Test(option, has_names_everywhere)
{
	const struct option *o = option_find_key("retry-max");
	char name[OPTION_NAME_SIZE];

	cr_assert_not_null(o);
	cr_expect_eq(option_find_key("retry_max"), o);
	cr_expect_str_eq(option_env(o, name), "MOONPOST_RETRY_MAX");
	cr_expect_str_eq(option_key(o, name), "retry_max");
	cr_expect_null(option_find_key("retry_maxi"));
	cr_expect_null(option_find_key(""));
	o = option_find_flag("count", OPTION_FOR_SEND);
	cr_assert_not_null(o);
	cr_expect_str_eq(option_env(o, name), "");
	cr_expect_str_eq(option_key(o, name), "");
	cr_expect_str_eq(option_env(option_find_key("client_secret"), name),
	    "SENTRY_CLIENT_SECRET");
}

Test(option, means_different_things_to_different_commands)
{
	const struct option *a = option_find_flag("schema", OPTION_FOR_SERVE);
	const struct option *b =
	    option_find_flag("schema", OPTION_FOR_VALIDATE);

	cr_expect_eq(a->type, OPTION_LIST);
	cr_expect_eq(b->type, OPTION_STRING);
	cr_expect_eq(option_find_key("schema"), a);
}
