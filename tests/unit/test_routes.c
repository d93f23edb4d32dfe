/* Who gets a delivery: the first handler that a script defines, by resource. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"

#include "catalog/catalog.h"

#include "catalog/routes.h"

#define HANDLERS(...)                                                          \
	(const char *const[]){__VA_ARGS__},                                    \
	    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static struct catalog *
open_catalog(void)
{
	struct catalog *catalog = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(catalog_open(NULL, 0, &catalog, &err), 0, "%s", err.msg);
	return catalog;
}

/* The jobs as "script:handler script:handler". */
static void
goes_to(const struct catalog *catalog, const struct routes *routes,
    const char *integration, const char *resource, const char *expected)
{
	const struct catalog_resource *r = NULL;
	const struct route *found;
	struct buf all = BUF_INIT;
	size_t i, n = 99;

	if (resource != NULL) {
		r = catalog_find(catalog, str_of(resource));
		cr_assert_not_null(r, "%s", resource);
	}
	found = routes_find(routes, integration, r, &n);
	cr_expect_eq(found == NULL, n == 0);
	for (i = 0; i < n; i++)
		buf_printf(&all, "%s%s:%s", i == 0 ? "" : " ", found[i].script,
		    found[i].handler);
	cr_expect_str_eq(buf_text(&all), expected, "%s %s: %s", integration,
	    resource == NULL ? "(unknown)" : resource, buf_text(&all));
	buf_free(&all);
}

Test(routes, gives_each_script_the_first_handler_that_it_defines)
{
	const struct routes_script scripts[] = {
	    {"default", "a",
		HANDLERS("on_event", "on_error", "on_event_alert")},
	    {"default", "b", HANDLERS("on_alert")},
	    {"default", "c", HANDLERS("on_install", "on_issue")},
	    {"other", "a", HANDLERS("on_issue")},
	    {"default", "d", NULL, 0},
	};
	struct catalog *catalog = open_catalog();
	struct routes *routes;

	routes = routes_create(catalog, scripts, 5);
	goes_to(catalog, routes, "default", "event_alert",
	    "a:on_event_alert b:on_alert");
	goes_to(catalog, routes, "default", "metric_alert",
	    "a:on_event b:on_alert");
	goes_to(catalog, routes, "default", "error", "a:on_error");
	goes_to(catalog, routes, "default", "installation",
	    "a:on_event c:on_install");
	goes_to(catalog, routes, "default", "issue", "a:on_event c:on_issue");
	goes_to(catalog, routes, "default", "seer", "a:on_event");
	goes_to(catalog, routes, "default", NULL, "a:on_event");
	goes_to(catalog, routes, "other", "issue", "a:on_issue");
	goes_to(catalog, routes, "other", "error", "");
	goes_to(catalog, routes, "other", NULL, "");
	goes_to(catalog, routes, "nobody", "issue", "");
	routes_unref(routes);
	catalog_free(catalog);
}

Test(routes, wants_nothing_without_scripts)
{
	struct catalog *catalog = open_catalog();
	struct routes *routes = routes_create(catalog, NULL, 0);

	goes_to(catalog, routes, "default", "issue", "");
	goes_to(catalog, routes, "default", NULL, "");
	routes_unref(routes);
	routes_unref(NULL);
	catalog_free(catalog);
}

Test(routes, keeps_nothing_of_what_it_was_made_from)
{
	char integration[] = "default", script[] = "a", handler[] = "on_issue";
	const char *handlers[] = {handler};
	struct routes_script one = {integration, script, handlers, 1};
	struct catalog *catalog = open_catalog();
	struct routes *routes = routes_create(catalog, &one, 1);

	memset(integration, 'x', sizeof(integration) - 1);
	memset(script, 'x', sizeof(script) - 1);
	memset(handler, 'x', sizeof(handler) - 1);
	goes_to(catalog, routes, "default", "issue", "a:on_issue");
	routes_unref(routes);
	catalog_free(catalog);
}

Test(routes, finds_each_of_many_integrations)
{
	static const char *const handlers[] = {"on_event"};
	struct routes_script scripts[40];
	char names[40][16];
	struct catalog *catalog = open_catalog();
	struct routes *routes;
	int i;

	for (i = 0; i < 40; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "i%d", i);
		scripts[i] =
		    (struct routes_script){names[i], names[i], handlers, 1};
	}
	routes = routes_create(catalog, scripts, 40);
	for (i = 0; i < 40; i++) {
		char expected[32];

		(void)snprintf(
		    expected, sizeof(expected), "%s:on_event", names[i]);
		goes_to(catalog, routes, names[i], "issue", expected);
	}
	routes_unref(routes);
	catalog_free(catalog);
}

static void *
use(void *arg)
{
	struct routes *routes = arg;
	int i;

	for (i = 0; i < 10000; i++)
		routes_unref(routes_ref(routes));
	routes_unref(routes);
	return NULL;
}

Test(routes, is_freed_by_the_last_of_several_threads)
{
	const struct routes_script one = {"default", "a", HANDLERS("on_issue")};
	struct catalog *catalog = open_catalog();
	struct routes *routes = routes_create(catalog, &one, 1);
	pthread_t threads[4];
	int i;

	for (i = 0; i < 4; i++)
		cr_assert_eq(
		    pthread_create(&threads[i], NULL, use, routes_ref(routes)),
		    0);
	goes_to(catalog, routes, "default", "issue", "a:on_issue");
	routes_unref(routes);
	for (i = 0; i < 4; i++)
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
	catalog_free(catalog);
}

Test(routes, fire_is_a_job_of_its_own_for_every_alert)
{
	const struct routes_script scripts[] = {
	    {"default", "a", HANDLERS("alert_action.fire", "on_alert")},
	    {"default", "b", HANDLERS("alert_action.fire")},
	    {"default", "c", HANDLERS("on_event")},
	};
	struct catalog *catalog = open_catalog();
	struct routes *routes = routes_create(catalog, scripts, 3);

	goes_to(catalog, routes, "default", "event_alert",
	    "a:on_alert a:alert_action.fire b:alert_action.fire c:on_event");
	goes_to(catalog, routes, "default", "metric_alert",
	    "a:on_alert a:alert_action.fire b:alert_action.fire c:on_event");
	goes_to(catalog, routes, "default", "activity_alert",
	    "a:on_alert a:alert_action.fire b:alert_action.fire c:on_event");
	goes_to(catalog, routes, "default", "issue", "c:on_event");
	goes_to(catalog, routes, "default", NULL, "c:on_event");
	routes_unref(routes);
	catalog_free(catalog);
}
