#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/err.h"
#include "catalog/ask.h"
#include "catalog/catalog.h"

static struct catalog *catalog;

static void
setup(void)
{
	cr_assert_eq(catalog_open(NULL, 0, &catalog, NULL), 0);
}

static void
teardown(void)
{
	catalog_free(catalog);
}

TestSuite(ask, .init = setup, .fini = teardown, .timeout = 30);

static char *
ask(const char *question, const char *body)
{
	struct err err = ERR_INIT;
	char *json = NULL;

	cr_assert_eq(catalog_ask(catalog, question, body, &json, &err), 0, "%s",
	    err.msg);
	return json;
}

static void
refuse(const char *question, const char *body, enum err_code code)
{
	struct err err = ERR_INIT;
	char *json = NULL;

	cr_expect_eq(catalog_ask(catalog, question, body, &json, &err), -1);
	cr_expect_eq(err.code, code, "%s", err.msg);
	cr_expect_null(json);
}

Test(ask, tells_of_a_resource)
{
	char *json = ask("resource:event_alert", NULL);

	cr_expect_not_null(strstr(json, "\"channel\":\"alert\""));
	cr_expect_not_null(strstr(json, "\"known\":true"));
	cr_expect_not_null(strstr(json, "\"fires\":true"));
	cr_expect_not_null(strstr(json,
	    "[\"on_event_alert\",\"on_error\",\"on_alert\",\"on_event\"]"));
	free(json);
}

Test(ask, tells_of_one_that_nobody_knows)
{
	char *json = ask("resource:weather", NULL);

	cr_expect_str_eq(json,
	    "{\"resource\":\"weather\",\"channel\":null,"
	    "\"known\":false,\"fires\":false,\"handlers\":[\"on_event\"]}");
	free(json);
}

Test(ask, checks_its_own_samples)
{
	char *body = ask("sample:issue.created", NULL);
	char *json = ask("check:issue", body);

	cr_expect_str_eq(json, "{}");
	free(json);
	free(body);
}

Test(ask, tells_what_is_wrong_with_a_body)
{
	char *json = ask("check:issue", "{\"action\":\"created\"}");

	cr_expect_not_null(strstr(json, "\"pointer\":"));
	cr_expect_not_null(strstr(json, "\"message\":"));
	free(json);
	json = ask("check:weather", "{\"action\":\"created\"}");
	cr_expect_str_eq(json, "{}");
	free(json);
}

Test(ask, tells_when_schedules_are_due)
{
	char *json = ask("due:1000000",
	    "{\"schedules\":[{\"name\":\"a\",\"every\":60,\"at\":\"s.lua:1\"},"
	    "{\"name\":\"b\",\"cron\":\"0 9 * * *\",\"tz\":\"UTC\","
	    "\"at\":\"s.lua:2\"}]}");

	cr_expect_str_eq(json, "{\"a\":1000060,\"b\":1069200}");
	free(json);
}

Test(ask, refuses_what_it_cannot_answer)
{
	refuse("due:soon", "{}", ERR_INVALID);
	refuse("sample:issue.craeted", NULL, ERR_NOT_FOUND);
	refuse("check:issue", "{", ERR_INVALID);
	refuse("check:issue", NULL, ERR_INVALID);
	refuse("weather", NULL, ERR_INVALID);
	refuse("weather:today", NULL, ERR_INVALID);
}
