/* The catalogue: the table of resources, real bodies, documents of the user. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "unit/scratch.h"
#include "json/jdoc.h"

#include "catalog/asyncapi.h"
#include "catalog/catalog.h"

static struct catalog *
open_with(const char *const *files, size_t n)
{
	struct catalog *catalog = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(catalog_open(files, n, &catalog, &err), 0, "%s", err.msg);
	return catalog;
}

static const struct catalog_resource *
find(const struct catalog *catalog, const char *name)
{
	const struct catalog_resource *r;

	r = catalog_find(catalog, str_of(name));
	cr_assert_not_null(r, "%s", name);
	cr_assert_str_eq(r->name, name);
	return r;
}

/* Check a text; "" if it is taken, else "POINTER: MESSAGE". */
static char *
verdict(const struct catalog *catalog, const char *resource, struct str text)
{
	struct catalog_violation violation;
	struct jdoc doc = {0};
	struct err err = ERR_INIT;
	char *said;

	cr_assert_eq(jdoc_parse(&doc, text.data, text.len, NULL, &err), 0,
	    "%.*s: %s", (int)text.len, text.data, err.msg);
	said = calloc(1, 2048);
	if (catalog_check(catalog, find(catalog, resource), &doc, &violation) ==
	    -1)
		(void)snprintf(
		    said, 2048, "%s: %s", violation.pointer, violation.message);
	jdoc_free(&doc);
	return said;
}

static void
says(const struct catalog *catalog, const char *resource, const char *text,
    const char *expected)
{
	char *said = verdict(catalog, resource, str_of(text));

	cr_expect(*expected == '\0'
		      ? *said == '\0'
		      : strncmp(said, expected, strlen(expected)) == 0,
	    "%s\n says \"%s\",\n  not \"%s\"", text, said, expected);
	free(said);
}

static void
is_list(const char *what, const char *const *at, size_t n, const char *expected)
{
	struct buf all = BUF_INIT;
	size_t i;

	for (i = 0; i < n; i++)
		buf_printf(&all, "%s%s", i == 0 ? "" : " ", at[i]);
	cr_expect_str_eq(
	    buf_text(&all), expected, "%s: %s", what, buf_text(&all));
	buf_free(&all);
}

Test(catalog, looks_up_handlers_in_the_promised_order)
{
	static const struct {
		const char *resource, *channel, *channels, *handlers;
	} t[] = {
	    {"installation", "install", "install",
		"on_installation on_install on_event"},
	    {"issue", "issue", "issue", "on_issue on_event"},
	    {"error", "error", "error", "on_error on_event"},
	    {"event_alert", "alert", "error alert",
		"on_event_alert on_error on_alert on_event"},
	    {"metric_alert", "alert", "alert",
		"on_metric_alert on_alert on_event"},
	    {"activity_alert", "alert", "alert",
		"on_activity_alert on_alert on_event"},
	    {"comment", "comment", "comment", "on_comment on_event"},
	    {"seer", "seer", "seer", "on_seer on_event"},
	    {"preprod_artifact", "preprod_artifact", "preprod_artifact",
		"on_preprod_artifact on_event"},
	};
	struct catalog *catalog = open_with(NULL, 0);
	const struct catalog_resource *r;
	const char *const *names;
	size_t i, n;

	cr_expect_eq(catalog_count(catalog), sizeof(t) / sizeof(t[0]));
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		r = find(catalog, t[i].resource);
		cr_expect_str_eq(r->channel, t[i].channel);
		is_list(r->name, r->channels, r->nchannels, t[i].channels);
		is_list(r->name, r->handlers, r->nhandlers, t[i].handlers);
		cr_expect_neq(r->summary[0], '\0', "%s", r->name);
		cr_expect_eq(r->index < catalog_count(catalog) &&
				 catalog_at(catalog, r->index) == r,
		    1);
	}
	names = catalog_fallback_handlers(&n);
	is_list("fallback", names, n, "on_event");
	names = catalog_handler_names(catalog, &n);
	cr_expect_eq(n, 12, "%zu", n);
	catalog_free(catalog);
}

Test(catalog, is_sorted_by_channel_and_name)
{
	struct catalog *catalog = open_with(NULL, 0);
	const struct catalog_resource *a, *b;
	size_t i;
	int order;

	for (i = 1; i < catalog_count(catalog); i++) {
		a = catalog_at(catalog, i - 1);
		b = catalog_at(catalog, i);
		order = strcmp(a->channel, b->channel);
		cr_expect(
		    order < 0 || (order == 0 && strcmp(a->name, b->name) < 0),
		    "%s %s", a->name, b->name);
	}
	catalog_free(catalog);
}

Test(catalog, knows_the_actions_of_both_documents)
{
	static const struct {
		const char *resource, *actions;
	} t[] = {
	    {"installation", "created deleted"},
	    {"issue", "created resolved assigned archived unresolved ignored"},
	    {"error", "created"},
	    {"event_alert", "triggered"},
	    {"metric_alert", "resolved warning critical open"},
	    {"activity_alert", "triggered"},
	    {"comment", "created updated deleted"},
	    {"seer",
		"root_cause_started root_cause_completed solution_started "
		"solution_completed coding_started coding_completed pr_created "
		"iteration_started iteration_completed"},
	    {"preprod_artifact",
		"size_analysis_completed build_distribution_completed"},
	};
	struct catalog *catalog = open_with(NULL, 0);
	const struct catalog_resource *r;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		r = find(catalog, t[i].resource);
		is_list(r->name, r->actions, r->nactions, t[i].actions);
	}
	catalog_free(catalog);
}

Test(catalog, finds_nothing_for_a_strange_name)
{
	static const char *const names[] = {"", "issu", "issues",
	    "size_analysis", "ISSUE", "zzz", " issue", "a"};
	struct catalog *catalog = open_with(NULL, 0);
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_expect_null(
		    catalog_find(catalog, str_of(names[i])), "%s", names[i]);
	cr_expect_null(catalog_find(catalog, (struct str){NULL, 0}));
	catalog_free(catalog);
}

Test(catalog, asks_the_live_document_first)
{
	struct catalog *catalog = open_with(NULL, 0);
	const struct catalog_message *m;
	size_t n;

	m = catalog_messages(catalog, find(catalog, "event_alert"), &n);
	cr_assert_eq(n, 2);
	cr_expect_str_eq(
	    asyncapi_name(m[0].document), "sentry-webhooks-live.yml");
	cr_expect_str_eq(m[0].message->channel, "alert");
	cr_expect_str_eq(
	    asyncapi_name(m[1].document), "sentry-webhooks-asyncapi.yml");
	cr_expect_str_eq(m[1].message->channel, "error");
	catalog_free(catalog);
}

/* Check every webhook body in a folder: RESOURCE.ACTION.VARIANT.json. */
static size_t
check_folder(const struct catalog *catalog, const char *dir)
{
	struct buf text = BUF_INIT, path = BUF_INIT;
	struct dirent *entry;
	char resource[64], *said;
	size_t n = 0, len;
	DIR *d = opendir(dir);

	if (d == NULL)
		return 0;
	while ((entry = readdir(d)) != NULL) {
		len = strcspn(entry->d_name, ".");
		if (strstr(entry->d_name, ".json") == NULL || len == 0 ||
		    len >= sizeof(resource))
			continue;
		memcpy(resource, entry->d_name, len);
		resource[len] = '\0';
		/* What is no webhook: answers, UI components. */
		if (catalog_find(catalog, str_of(resource)) == NULL)
			continue;
		buf_reset(&path);
		buf_printf(&path, "%s/%s", dir, entry->d_name);
		buf_reset(&text);
		cr_assert_eq(file_read(path.data, 1 << 20, &text, NULL), 0);
		said = verdict(
		    catalog, resource, (struct str){text.data, text.len});
		cr_expect_str_eq(said, "", "%s: %s", entry->d_name, said);
		free(said);
		n++;
	}
	(void)closedir(d);
	buf_free(&text);
	buf_free(&path);
	return n;
}

Test(catalog, takes_what_real_sentry_sends)
{
	struct catalog *catalog = open_with(NULL, 0);

	cr_expect_geq(check_folder(catalog, "tests/e2e/payloads"), 50);
	catalog_free(catalog);
}

/* Sentry's own examples, where they lie beside the project. */
Test(catalog, takes_the_shared_payloads)
{
	struct catalog *catalog = open_with(NULL, 0);
	struct buf dir = BUF_INIT;
	const char *shared = getenv("MOONPOST_SHARED");
	DIR *d;

	buf_printf(&dir, "%s/payloads", shared == NULL ? "../shared" : shared);
	d = opendir(dir.data);
	if (d != NULL) {
		(void)closedir(d);
		cr_expect_geq(check_folder(catalog, dir.data), 34);
	}
	buf_free(&dir);
	catalog_free(catalog);
}

#define ENVELOPE "\"installation\":{\"uuid\":\"u\"}"

Test(catalog, says_where_a_body_is_wrong)
{
	struct catalog *catalog = open_with(NULL, 0);

	says(catalog, "issue", "[]", ": must be an object");
	says(catalog, "issue",
	    "{\"action\":\"created\",\"data\":{\"issue\":{\"level\":\"bad\"}},"
	    "\"actor\":{\"type\":\"user\",\"id\":5}," ENVELOPE "}",
	    "/data/issue/level: must be one of \"fatal\"");
	says(catalog, "issue",
	    "{\"action\":\"moved\",\"data\":{}," ENVELOPE "}", "/action: ");
	says(catalog, "issue", "{\"action\":\"created\"," ENVELOPE "}",
	    "/data: required member");
	says(catalog, "issue", "{\"action\":\"created\",\"data\":{}}",
	    "/installation: required member");
	says(catalog, "issue",
	    "{\"action\":\"created\",\"data\":{},\"installation\":{}}",
	    "/installation/uuid: required member");
	says(catalog, "issue",
	    "{\"action\":\"created\",\"data\":{},\"actor\":{\"type\":\"team\"}"
	    "," ENVELOPE "}",
	    "/actor/type: ");
	catalog_free(catalog);
}

/* Bodies in the live shape have several faults for the published document, some
 * of them deep; in the published shape it is the other way round. */
Test(catalog, says_what_is_wrong_in_the_shape_that_was_meant)
{
	struct catalog *catalog = open_with(NULL, 0);

	says(catalog, "metric_alert",
	    "{\"action\":\"closed\",\"data\":{\"metric_alert\":{\"status\":2,"
	    "\"type\":2}}," ENVELOPE "}",
	    "/action: ");
	says(catalog, "event_alert",
	    "{\"action\":\"triggered\",\"data\":{\"event\":{\"project\":5,"
	    "\"timestamp\":1.5,\"release\":null}}}",
	    "/installation: ");
	says(catalog, "event_alert",
	    "{\"action\":\"fired\",\"data\":{\"event\":{\"project\":\"p\","
	    "\"timestamp\":\"2026-11-23T00:00:00Z\"}}}",
	    "/action: ");
	says(catalog, "comment",
	    "{\"action\":\"created\",\"data\":{\"comment\":{\"id\":\"x\"}}}",
	    "/data/comment/id: ");
	says(catalog, "comment",
	    "{\"action\":\"created\",\"data\":{\"comment_id\":\"x\","
	    "\"comment\":\"y\"}," ENVELOPE "}",
	    "/data/comment_id: ");
	catalog_free(catalog);
}

Test(catalog, closes_the_status_of_a_new_installation_only)
{
	struct catalog *catalog = open_with(NULL, 0);

	says(catalog, "installation",
	    "{\"action\":\"created\",\"data\":{\"installation\":{\"status\":"
	    "\"odd\"}}," ENVELOPE "}",
	    "/data/installation/status: ");
	says(catalog, "installation",
	    "{\"action\":\"deleted\",\"data\":{\"installation\":{\"status\":"
	    "\"odd\"}}," ENVELOPE "}",
	    "");
	catalog_free(catalog);
}

#define DEPLOY                                                                 \
	"asyncapi: 2.6.0\n"                                                    \
	"channels:\n"                                                          \
	"  deploy.done:\n"                                                     \
	"    subscribe:\n"                                                     \
	"      message:\n"                                                     \
	"        payload:\n"                                                   \
	"          required: [env]\n"                                          \
	"          properties: {env: {enum: [live, test]}}\n"

Test(catalog, adds_the_channels_of_a_file)
{
	struct catalog *catalog;
	const struct catalog_resource *r;
	struct scratch s;
	char path[128];
	const char *files[] = {path};

	scratch_make(&s);
	(void)snprintf(path, sizeof(path), "%s/deploy.yml", s.dir);
	cr_assert_eq(
	    file_replace(path, DEPLOY, sizeof(DEPLOY) - 1, 0600, NULL), 0);
	catalog = open_with(files, 1);
	r = find(catalog, "deploy.done");
	is_list(
	    "handlers", r->handlers, r->nhandlers, "on_deploy_done on_event");
	cr_expect_eq(r->nactions, 0);
	says(catalog, "deploy.done", "{\"env\":\"live\"}", "");
	says(catalog, "deploy.done", "{\"env\":\"home\"}", "/env: ");
	says(catalog, "deploy.done", "{}", "/env: required member");
	find(catalog, "issue");
	catalog_free(catalog);
	scratch_clear(&s);
}

/* A document may say that a resource has another shape as well. */
Test(catalog, takes_what_a_file_allows_for_a_known_resource)
{
	static const char text[] =
	    "{\"asyncapi\":\"2.6.0\",\"channels\":{\"mine\":{\"publish\":"
	    "{\"message\":{\"headers\":{\"properties\":{"
	    "\"sentry-hook-resource\":{\"const\":\"issue\"}}},\"payload\":"
	    "{\"required\":[\"odd\"],\"properties\":{\"action\":{\"enum\":"
	    "[\"moved\"]}}}}}}}}";
	struct catalog *catalog;
	const struct catalog_resource *r;
	struct scratch s;
	char path[128];
	const char *files[] = {path};

	scratch_make(&s);
	(void)snprintf(path, sizeof(path), "%s/mine.json", s.dir);
	cr_assert_eq(file_replace(path, text, sizeof(text) - 1, 0600, NULL), 0);
	catalog = open_with(files, 1);
	r = find(catalog, "issue");
	cr_expect_str_eq(r->channel, "issue");
	is_list(
	    "handlers", r->handlers, r->nhandlers, "on_issue on_mine on_event");
	cr_expect_str_eq(r->actions[r->nactions - 1], "moved");
	says(catalog, "issue", "{\"odd\":1,\"action\":\"moved\"}", "");
	says(catalog, "issue", "{\"odd\":1,\"action\":\"lost\"}", "/action: ");
	catalog_free(catalog);
	scratch_clear(&s);
}

Test(catalog, names_the_file_that_it_cannot_use)
{
	struct catalog *catalog = NULL;
	struct err err = ERR_INIT;
	struct scratch s;
	char path[128], expected[256];
	const char *files[] = {path};
	struct buf large = BUF_INIT;

	scratch_make(&s);
	(void)snprintf(path, sizeof(path), "%s/x.yml", s.dir);
	cr_expect_eq(catalog_open(files, 1, &catalog, &err), -1);
	cr_expect_eq(err.code, ERR_NOT_FOUND, "%s", err.msg);
	cr_expect_not_null(strstr(err.msg, path), "%s", err.msg);

	cr_assert_eq(file_replace(path, "a: [\n", 5, 0600, NULL), 0);
	cr_expect_eq(catalog_open(files, 1, &catalog, &err), -1);
	cr_expect_eq(err.code, ERR_INVALID);
	(void)snprintf(expected, sizeof(expected), "%s: line 2: ", path);
	cr_expect_eq(
	    strncmp(err.msg, expected, strlen(expected)), 0, "%s", err.msg);

	cr_assert_eq(file_replace(path, "a: 1\n", 5, 0600, NULL), 0);
	cr_expect_eq(catalog_open(files, 1, &catalog, &err), -1);
	cr_expect_eq(err.code, ERR_INVALID);
	(void)snprintf(
	    expected, sizeof(expected), "%s: /: not an AsyncAPI", path);
	cr_expect_eq(
	    strncmp(err.msg, expected, strlen(expected)), 0, "%s", err.msg);

	memset(buf_reserve(&large, 5 << 20), ' ', 5 << 20);
	large.len = 5 << 20;
	cr_assert_eq(file_replace(path, large.data, large.len, 0600, NULL), 0);
	cr_expect_eq(catalog_open(files, 1, &catalog, &err), -1);
	cr_expect_eq(err.code, ERR_TOO_LARGE, "%s", err.msg);
	buf_free(&large);

	(void)snprintf(path, sizeof(path), "%s", s.dir);
	cr_expect_eq(catalog_open(files, 1, &catalog, &err), -1);
	cr_expect_eq(err.code, ERR_UNAVAILABLE, "%s", err.msg);
	cr_expect_null(catalog);
	catalog_free(NULL);
	scratch_clear(&s);
}
