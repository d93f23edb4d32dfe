/* Samples: valid, fresh, written as Sentry writes; guessed from schemas. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "unit/scratch.h"
#include "json/jdoc.h"
#include "json/jpath.h"

#include "catalog/asyncapi.h"
#include "catalog/catalog.h"
#include "catalog/sample.h"
#include "schema/schema.h"

/* A parsed sample. */
struct made {
	struct buf text;
	struct jdoc doc;
};

static struct catalog *
open_with(const char *const *files, size_t n)
{
	struct catalog *catalog = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(catalog_open(files, n, &catalog, &err), 0, "%s", err.msg);
	return catalog;
}

static struct made
make(const struct catalog *catalog, const char *event)
{
	struct made m = {BUF_INIT, {0}};
	struct err err = ERR_INIT;

	cr_assert_eq(catalog_sample(catalog, event, &m.text, &err), 0, "%s: %s",
	    event, err.msg);
	cr_assert_eq(jdoc_parse(&m.doc, m.text.data, m.text.len, NULL, &err), 0,
	    "%s: %s", event, err.msg);
	return m;
}

static void
made_free(struct made *m)
{
	jdoc_free(&m->doc);
	buf_free(&m->text);
}

static const struct jval *
at(const struct made *m, const char *pointer)
{
	const struct jval *v;

	v = jpath_get(jdoc_root(&m->doc), str_of(pointer), NULL);
	cr_assert_not_null(v, "%s in %s", pointer, m->text.data);
	return v;
}

static void
refuses(const struct catalog *catalog, const char *event, const char *message)
{
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	buf_puts(&out, "before");
	cr_expect_eq(catalog_sample(catalog, event, &out, &err), -1);
	cr_expect_eq(err.code, ERR_NOT_FOUND);
	cr_expect_str_eq(err.msg, message);
	cr_expect_str_eq(out.data, "before");
	buf_free(&out);
}

Test(sample, is_valid_for_every_resource_and_action)
{
	struct catalog *catalog = open_with(NULL, 0);
	const struct catalog_resource *r;
	struct catalog_violation violation;
	struct made m;
	char event[128];
	size_t i, k, n = 0;

	for (i = 0; i < catalog_count(catalog); i++) {
		r = catalog_at(catalog, i);
		for (k = 0; k < r->nactions; k++, n++) {
			(void)snprintf(event, sizeof(event), "%s.%s", r->name,
			    r->actions[k]);
			m = make(catalog, event);
			cr_expect_eq(
			    catalog_check(catalog, r, &m.doc, &violation), 0,
			    "%s: %s: %s", event, violation.pointer,
			    violation.message);
			cr_expect(
			    str_eq(jdoc_get_str(jdoc_root(&m.doc), "action"),
				str_of(r->actions[k])));
			made_free(&m);
		}
	}
	cr_expect_eq(n, 29, "%zu", n);
	catalog_free(catalog);
}

/* In each the four keys of real deliveries, in their order. */
Test(sample, has_the_envelope_of_real_deliveries)
{
	static const char *const keys[] = {
	    "action", "installation", "data", "actor"};
	struct catalog *catalog = open_with(NULL, 0);
	const struct catalog_resource *r;
	const struct jval *e;
	struct made m;
	char event[128];
	size_t i, k, n;

	for (i = 0; i < catalog_count(catalog); i++) {
		r = catalog_at(catalog, i);
		for (k = 0; k < r->nactions; k++) {
			(void)snprintf(event, sizeof(event), "%s.%s", r->name,
			    r->actions[k]);
			m = make(catalog, event);
			cr_assert_eq(jdoc_root(&m.doc)->len, 4, "%s", event);
			for (n = 0, e = jdoc_root(&m.doc) + 1; n < 4;
			     n++, e = jval_next(e + 1))
				cr_expect(str_eq(jval_str(e), str_of(keys[n])),
				    "%s", event);
			made_free(&m);
		}
	}
	catalog_free(catalog);
}

Test(sample, has_fresh_ids_that_agree_with_one_another)
{
	struct catalog *catalog = open_with(NULL, 0);
	struct made a = make(catalog, "event_alert.triggered");
	struct made b = make(catalog, "event_alert.triggered");
	struct made c = make(catalog, "installation.created");
	struct str id, other, url;

	id = jval_str(at(&a, "/data/event/event_id"));
	other = jval_str(at(&b, "/data/event/event_id"));
	cr_expect_eq(id.len, 32);
	cr_expect_not(str_eq(id, other));
	url = jval_str(at(&a, "/data/event/web_url"));
	cr_expect_not_null(memmem(url.data, url.len, id.data, id.len));
	id = jval_str(at(&a, "/data/event/issue_id"));
	other = jval_str(at(&b, "/data/event/issue_id"));
	cr_expect_eq(id.len, 10);
	cr_expect_not(str_eq(id, other));
	cr_expect_not(str_eq(jval_str(at(&a, "/installation/uuid")),
	    jval_str(at(&b, "/installation/uuid"))));
	cr_expect(str_eq(jval_str(at(&c, "/installation/uuid")),
	    jval_str(at(&c, "/data/installation/uuid"))));

	/* What is no event's id stays. */
	cr_expect_eq(at(&a, "/data/event/project")->v.i, 4507318820044800);
	made_free(&a);
	made_free(&b);
	made_free(&c);
	catalog_free(catalog);
}

Test(sample, has_times_that_end_now_and_keep_their_distance)
{
	struct catalog *catalog = open_with(NULL, 0);
	uint64_t before = clock_unix_ms(), after, first, last;
	struct made m = make(catalog, "issue.resolved");
	struct made e = make(catalog, "error.created");
	struct str s;

	after = clock_unix_ms();
	s = jval_str(at(&m, "/data/issue/lastSeen"));
	cr_expect_eq(s.len, 27);
	cr_expect_eq(s.data[26], 'Z');
	cr_assert_eq(clock_parse_rfc3339(s.data, s.len, &last), 0);
	cr_expect(last >= before && last <= after);
	s = jval_str(at(&m, "/data/issue/firstSeen"));
	cr_assert_eq(clock_parse_rfc3339(s.data, s.len, &first), 0);
	cr_expect_eq(last - first, 134247365, "%llu",
	    (unsigned long long)(last - first));

	/* Seconds with a fraction are moved as well. */
	cr_assert_eq(jval_kind(at(&e, "/data/error/timestamp")), JDOC_REAL);
	cr_expect_float_eq(at(&e, "/data/error/nodestore_insert")->v.d,
	    (double)after / 1000, 2.0);
	s = jval_str(at(&e, "/data/error/datetime"));
	cr_assert_eq(clock_parse_rfc3339(s.data, s.len, &first), 0);
	cr_expect_float_eq(
	    at(&e, "/data/error/timestamp")->v.d, (double)first / 1000, 0.0011);
	made_free(&m);
	made_free(&e);
	catalog_free(catalog);
}

Test(sample, is_compact_ascii)
{
	struct catalog *catalog = open_with(NULL, 0);
	struct made a = make(catalog, "activity_alert.triggered");
	struct made c = make(catalog, "comment.created");
	size_t i;

	for (i = 0; i < a.text.len; i++)
		cr_assert((unsigned char)a.text.data[i] < 0x80);
	cr_expect_not_null(
	    strstr(a.text.data, "Seer on watch \\ud83d\\udc40\""));
	cr_expect_not_null(strstr(c.text.data, "out \\u2013 I'll"));
	cr_expect_null(strstr(c.text.data, ", \""));
	cr_expect_null(strstr(c.text.data, "\": "));
	made_free(&a);
	made_free(&c);
	catalog_free(catalog);
}

Test(sample, suggests_what_may_have_been_meant)
{
	struct catalog *catalog = open_with(NULL, 0);

	refuses(catalog, "isue.created",
	    "there is no event \"isue.created\"; did you mean "
	    "\"issue.created\"?");
	refuses(catalog, "nothing.like.it",
	    "there is no event \"nothing.like.it\"");
	refuses(catalog, "", "there is no event \"\"");
	refuses(catalog, "issue.creatd",
	    "issue has no action \"creatd\"; did you mean \"issue.created\"?");
	refuses(catalog, "comment.zzz",
	    "comment has no action \"zzz\": it has created, updated, deleted");
	refuses(catalog, "comment",
	    "\"comment\" needs an action behind it, as in \"comment.created\": "
	    "created, updated, deleted");
	catalog_free(catalog);
}

/* ---- from schemas ---------------------------------------------------------
 */

/* Make a sample of the only message of a document with this payload. */
static int
guess(const char *payload, const char *action, struct buf *out, struct err *err)
{
	const struct asyncapi_message *m;
	struct asyncapi *doc = NULL;
	struct buf text = BUF_INIT;
	size_t n;
	int rc;

	buf_printf(&text,
	    "{\"asyncapi\":\"2.6.0\",\"channels\":{\"c\":{\"publish\":"
	    "{\"message\":{\"payload\":%s}}}}}",
	    payload);
	cr_assert_eq(asyncapi_read("t.json", (struct str){text.data, text.len},
			 &doc, err),
	    0, "%s: %s", payload, err->msg);
	m = asyncapi_messages(doc, &n);
	rc = sample_make(asyncapi_root(doc), m, action, out, err);
	asyncapi_free(doc);
	buf_free(&text);
	return rc;
}

static void
gives(const char *payload, const char *expected)
{
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	cr_expect_eq(
	    guess(payload, "x", &out, &err), 0, "%s: %s", payload, err.msg);
	if (expected != NULL)
		cr_expect_str_eq(
		    buf_text(&out), expected, "%s: %s", payload, out.data);
	buf_free(&out);
}

#define ONE(schema) "{\"properties\":{\"a\":" schema "}}"

Test(sample, guesses_from_types_and_limits)
{
	gives("true", "{}");
	gives("{\"type\":\"object\"}", "{}");
	gives(ONE("{\"type\":\"string\"}"), "{\"a\":\"sample-a\"}");
	gives(ONE("{\"type\":\"string\",\"minLength\":10}"),
	    "{\"a\":\"sample-aaa\"}");
	gives(ONE("{\"type\":\"string\",\"maxLength\":2}"), "{\"a\":\"sa\"}");
	gives(ONE("{\"type\":[\"null\",\"boolean\"]}"), "{\"a\":false}");
	gives(ONE("{\"type\":\"null\"}"), "{\"a\":null}");
	gives(ONE("{\"type\":\"integer\"}"), "{\"a\":1}");
	gives(ONE("{\"type\":\"integer\",\"minimum\":5}"), "{\"a\":5}");
	gives(
	    ONE("{\"type\":\"integer\",\"exclusiveMinimum\":5}"), "{\"a\":6}");
	gives(ONE("{\"type\":\"integer\",\"maximum\":-5}"), "{\"a\":-5}");
	gives(ONE("{\"type\":\"integer\",\"exclusiveMaximum\":-5}"),
	    "{\"a\":-6}");
	gives(ONE("{\"type\":\"integer\",\"minimum\":20,\"multipleOf\":7}"),
	    "{\"a\":21}");
	gives(ONE("{\"exclusiveMinimum\":1,\"exclusiveMaximum\":2}"),
	    "{\"a\":1.5}");
	gives(ONE("{\"exclusiveMinimum\":1}"), "{\"a\":2.0}");
	gives(
	    ONE("{\"type\":\"number\",\"exclusiveMaximum\":1}"), "{\"a\":0.0}");
	gives(ONE("{\"const\":[1]}"), "{\"a\":[1]}");
	gives(ONE("{\"enum\":[7,8]}"), "{\"a\":7}");
	gives(ONE("{\"examples\":[\"e\"]}"), "{\"a\":\"e\"}");
	gives(ONE("{\"example\":\"e\",\"default\":1}"), "{\"a\":\"e\"}");
	gives(ONE("{\"default\":1}"), "{\"a\":1}");
	gives(ONE("false"), "{}");
}

Test(sample, guesses_arrays_and_objects)
{
	gives(ONE("{\"type\":\"array\"}"), "{\"a\":[\"sample\"]}");
	gives(ONE("{\"minItems\":2,\"items\":{\"type\":\"boolean\"}}"),
	    "{\"a\":[false,false]}");
	gives(
	    ONE("{\"items\":[{\"const\":1},{\"const\":2}]}"), "{\"a\":[1,2]}");
	gives(ONE("{\"type\":\"array\",\"maxItems\":0}"), "{\"a\":[]}");
	gives(ONE("{\"type\":\"array\",\"contains\":{\"const\":3}}"),
	    "{\"a\":[3]}");
	gives("{\"required\":[\"n\",\"action\"],\"additionalProperties\":"
	      "{\"type\":\"integer\"},\"properties\":{\"action\":true}}",
	    "{\"action\":\"x\",\"n\":1}");
	gives("{\"required\":[\"action\"]}", "{\"action\":\"x\"}");
	gives("{\"allOf\":[{\"properties\":{\"a\":{\"const\":1}}},"
	      "{\"properties\":{\"b\":{\"const\":2}}}],\"properties\":"
	      "{\"a\":{}}}",
	    "{\"a\":1,\"b\":2}");
	gives(ONE("{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]}"),
	    "{\"a\":1}");
}

/* Where the first branch of a choice will not do, another may. */
Test(sample, tries_other_branches)
{
	gives("{\"properties\":{\"a\":{\"anyOf\":[{\"const\":1},{\"const\":2}],"
	      "\"not\":{\"const\":1}}}}",
	    "{\"a\":2}");
}

Test(sample, guesses_formats_and_names)
{
	static const char *const formats[] = {"date-time", "date", "time",
	    "uri", "email", "uuid", "ipv4", "ipv6", "hostname"};
	char payload[256];
	size_t i;

	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		(void)snprintf(payload, sizeof(payload),
		    ONE("{\"type\":\"string\",\"format\":\"%s\"}"), formats[i]);
		gives(payload, NULL);
	}
	gives("{\"properties\":{\"web_url\":{\"type\":\"string\",\"format\":"
	      "\"uri\"},\"mail\":{\"format\":\"email\"}}}",
	    "{\"web_url\":\"https://sentry.example/sample/\",\"mail\":"
	    "\"jane@example.com\"}");
	gives("{\"properties\":{\"userId\":{\"pattern\":\"^[0-9]{10}$\","
	      "\"type\":\"string\"},\"id\":{\"type\":\"string\",\"minLength\":"
	      "10,\"maxLength\":10}}}",
	    NULL);
}

Test(sample, finds_text_for_patterns)
{
	static const char *const patterns[] = {"^[0-9a-f]{40}$", "^v\\\\d+$",
	    "^(?:refs/heads/|v)[A-Z]?\\\\w+-\\\\d{2,4}(x|y)*$", "^a|b$",
	    "^[^a-z]$", "^.{3}$", "^\\\\s\\\\S\\\\D\\\\W$", "^(a(b(c)+)?){2}$",
	    "^\\\\.\\\\[x\\\\]$", "^[\\\\d]+?$", "x", "", "^$", "^(?=a)a$",
	    "^a{2,}$", "^[a-]$"};
	char payload[256];
	size_t i;

	for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		(void)snprintf(payload, sizeof(payload),
		    ONE("{\"type\":\"string\",\"pattern\":\"%s\"}"),
		    patterns[i]);
		gives(payload, NULL);
	}
}

Test(sample, ends_for_schemas_that_contain_themselves)
{
	gives("{\"required\":[\"b\"],\"properties\":{\"b\":{\"type\":"
	      "\"string\"},\"kids\":{\"type\":\"array\",\"items\":{\"$ref\":"
	      "\"#/channels/c/publish/message/payload\"}}}}",
	    NULL);
}

Test(sample, says_so_when_there_is_none)
{
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	cr_expect_eq(
	    guess(ONE("{\"type\":\"string\",\"not\":{}}"), NULL, &out, &err),
	    -1);
	cr_expect_eq(err.code, ERR_INVALID);
	cr_expect_eq(
	    strncmp(err.msg, "no sample could be made for channel c: /a: ", 43),
	    0, "%s", err.msg);
	cr_expect_eq(out.len, 0);
	/* Required without end. */
	cr_expect_eq(guess("{\"required\":[\"a\"],\"properties\":{\"a\":"
			   "{\"$ref\":\"#/channels/c/publish/message/payload\"}"
			   "}}",
			 NULL, &out, &err),
	    0);
	buf_free(&out);
}

#define DEPLOY                                                                 \
	"asyncapi: 2.6.0\n"                                                    \
	"x-fresh-ids: [12345]\n"                                               \
	"channels:\n"                                                          \
	"  deploy:\n"                                                          \
	"    publish:\n"                                                       \
	"      message:\n"                                                     \
	"        payload:\n"                                                   \
	"          required: [action, id]\n"                                   \
	"          properties:\n"                                              \
	"            action: {enum: [started, done]}\n"                        \
	"            id: {type: integer}\n"                                    \
	"            url: {type: string}\n"                                    \
	"        examples:\n"                                                  \
	"          - payload: {action: started, id: 12345, url: x/12345/1}\n"  \
	"  deploy.undone:\n"                                                   \
	"    publish: {message: {payload: {required: [ok]}}}\n"

Test(sample, uses_the_examples_of_a_file_or_its_schema)
{
	struct catalog *catalog;
	struct scratch s;
	const char *file;
	struct made a, b, c;
	char url[64];

	scratch_make(&s);
	scratch_write(&s, "d.yml", DEPLOY);
	file = scratch_path(&s, "d.yml");
	catalog = open_with(&file, 1);
	a = make(catalog, "deploy.started");
	cr_expect_neq(at(&a, "/id")->v.i, 12345);
	(void)snprintf(
	    url, sizeof(url), "x/%lld/1", (long long)at(&a, "/id")->v.i);
	cr_expect(str_eq(jval_str(at(&a, "/url")), str_of(url)));

	/* No example of its own: that of another action will do. */
	b = make(catalog, "deploy.done");
	cr_expect(str_eq(jval_str(at(&b, "/action")), STR("done")));
	cr_expect_eq(jval_str(at(&b, "/url")).len, 9);

	/* No actions: the name of the resource, points and all. */
	c = make(catalog, "deploy.undone");
	cr_expect_str_eq(c.text.data, "{\"ok\":\"sample-ok\"}");
	refuses(catalog, "deploy.undone.x",
	    "deploy.undone has no action \"x\": it has none, its name alone "
	    "will do");
	made_free(&a);
	made_free(&b);
	made_free(&c);
	catalog_free(catalog);
	scratch_clear(&s);
}
