#include <criterion/criterion.h>

#include <string.h>

#include "app/settings.h"
#include "base/err.h"
#include "config/config.h"
#include "json/jdoc.h"

/* Apply a table that is given as JSON; 0, or -1 and ${err} says why. */
static int
apply(struct config *config, const char *json, struct err *err)
{
	struct jdoc doc = {0};
	int rc;

	cr_assert_eq(jdoc_parse(&doc, json, strlen(json), NULL, err), 0);
	rc = settings_apply(config, jdoc_root(&doc), "moonpost.lua", err);
	jdoc_free(&doc);
	return rc;
}

static void
refused(const char *json, const char *message)
{
	struct config *config = config_create();
	struct err err = ERR_INIT;

	cr_expect_eq(apply(config, json, &err), -1, "%s", json);
	cr_expect_str_eq(err.msg, message);
	cr_expect_eq(err.code, ERR_INVALID);
	config_free(config);
}

Test(settings, take_every_kind_of_value)
{
	struct config *c = config_create();
	struct err err = ERR_INIT;

	cr_assert(apply(c,
		      "{\"scripts\":\"s\",\"retry_attempts\":3,\"max-body\":"
		      "2097152,\"keep_unhandled\":false,\"max_age\":false,"
		      "\"retry_base\":0.25,\"retry_max\":90.0,\"schema\":[\"a\""
		      ",\"b,c\"],\"client_secret\":[\"new\",\"old\"],"
		      "\"cpu_limit\":2,\"dedupe_window\":\"2h\"}",
		      &err) == 0,
	    "%s", err.msg);
	cr_assert(config_finish(c, &err) == 0, "%s", err.msg);
	cr_expect_str_eq(c->scripts, "s");
	cr_expect_eq(c->retry_attempts, 3);
	cr_expect_eq(c->max_body, 2 << 20);
	cr_expect_not(c->keep_unhandled);
	cr_expect_eq(c->max_age_ms, 0);
	cr_expect_eq(c->retry_base_ms, 250);
	cr_expect_eq(c->retry_max_ms, 90000);
	cr_expect_eq(c->cpu_limit_ms, 2000);
	cr_expect_eq(c->dedupe_window_ms, 7200000);
	cr_assert_eq(c->schemas.n, 2);
	cr_expect_str_eq(c->schemas.items[1], "b,c");
	cr_assert_eq(c->integrations[0].client_secrets.n, 2);
	cr_expect_str_eq(c->integrations[0].client_secrets.items[0], "new");
	config_free(c);
}

Test(settings, take_further_integrations)
{
	struct config *c = config_create();
	const struct config_integration *it;
	struct err err = ERR_INIT;

	cr_assert(apply(c,
		      "{\"integrations\":{\"acme\":{\"client_id\":\"i\","
		      "\"client_secret\":[\"a\",\"b\"],\"scripts\":\"d\"},"
		      "\"beta\":{\"client_secret\":\"c\",\"scripts\":\"e\","
		      "\"sentry_url\":\"https://s.example/\"}}}",
		      &err) == 0,
	    "%s", err.msg);
	cr_assert(config_finish(c, &err) == 0, "%s", err.msg);
	cr_assert_eq(c->nintegrations, 3);
	it = config_find_integration(c, "acme");
	cr_assert_not_null(it);
	cr_expect_eq(it->client_secrets.n, 2);
	it = config_find_integration(c, "beta");
	cr_assert_not_null(it);
	cr_expect_str_eq(it->sentry_url, "https://s.example");
	config_free(c);
}

Test(settings, take_an_empty_table_for_an_empty_list)
{
	struct config *c = config_create();
	struct err err = ERR_INIT;

	cr_expect_eq(apply(c, "{\"schema\":{},\"integrations\":{}}", &err), 0);
	cr_expect_eq(apply(c, "{\"schema\":[],\"integrations\":[]}", &err), 0);
	cr_expect_eq(apply(c, "{}", &err), 0);
	cr_expect_eq(config_finish(c, &err), 0);
	cr_expect_eq(c->schemas.n, 0);
	config_free(c);
}

Test(settings, refuse_what_is_no_setting)
{
	refused("[1]",
	    "moonpost.lua: must return a table of settings, returns array");
	refused("null",
	    "moonpost.lua: must return a table of settings, returns nothing");
	refused("{\"retry_mx\":1}",
	    "moonpost.lua: unknown key 'retry_mx'; did you mean 'retry_max'?");
	refused("{\"retry_mx\":{}}",
	    "moonpost.lua: unknown key 'retry_mx'; did you mean 'retry_max'?");
	refused("{\"retry_attempts\":1.5}",
	    "moonpost.lua: retry_attempts: '1.5' is not a whole number");
	refused("{\"retry_attempts\":-1}",
	    "moonpost.lua: retry_attempts: '-1' is not a whole number");
	refused("{\"retry_attempts\":[1]}",
	    "moonpost.lua: retry_attempts: is array, give one value");
	refused("{\"scripts\":\"a\\u0000b\"}",
	    "moonpost.lua: scripts: is not text, give one value");
	refused("{\"schema\":{\"a\":1}}",
	    "moonpost.lua: schema: is object, give a string or a list of them");
	refused(
	    "{\"schema\":[[\"a\"]]}", "moonpost.lua: schema: a list in a list");
	refused("{\"dev\":\"sure\"}",
	    "moonpost.lua: dev: 'sure' is neither on nor off (true, false, "
	    "yes, no, 1 and 0 will do too)");
}

Test(settings, refuse_integrations_that_are_none)
{
	static const char expected[] =
	    "moonpost.lua: integrations: must be a table of tables, NAME = { "
	    "client_secret = ..., scripts = ... }";

	refused("{\"integrations\":true}", expected);
	refused("{\"integrations\":[{\"scripts\":\"s\"}]}", expected);
	refused("{\"integrations\":{\"a\":\"s\"}}", expected);
	refused("{\"integrations\":{\"a\":[\"s\"]}}", expected);
	refused("{\"integrations\":{\"a\":[]}}",
	    "moonpost.lua: integrations.a: is empty; it needs client_secret "
	    "and scripts");
	refused("{\"integrations\":{\"a\":{\"secret\":\"s\"}}}",
	    "moonpost.lua: unknown key 'integrations.a.secret'");
	refused("{\"integrations\":{\"a\":{\"scripts\":[\"s\"]}}}",
	    "moonpost.lua: scripts: is array, give one value");
}
