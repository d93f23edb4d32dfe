/* AsyncAPI documents: which messages are found in them, what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "catalog/asyncapi.h"

#define HEAD "asyncapi: 2.6.0\ninfo: {title: t, version: '1'}\n"

/* A message `m` of a channel `c` with these lines. */
#define CHANNEL(lines) HEAD "channels:\n  c:\n    subscribe:\n" lines

static struct asyncapi *
read_text(const char *text)
{
	struct asyncapi *doc = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(asyncapi_read("t.yml", str_of(text), &doc, &err), 0,
	    "%s: %s", text, err.msg);
	return doc;
}

/* Every message as "channel:resource,resource:action,action". */
static void
holds(const struct asyncapi *doc, const char *expected)
{
	const struct asyncapi_message *m;
	struct buf all = BUF_INIT;
	size_t i, k, n;

	m = asyncapi_messages(doc, &n);
	for (i = 0; i < n; i++) {
		buf_printf(&all, "%s%s:", i == 0 ? "" : " ", m[i].channel);
		for (k = 0; k < m[i].nresources; k++)
			buf_printf(
			    &all, "%s%s", k == 0 ? "" : ",", m[i].resources[k]);
		buf_putc(&all, ':');
		for (k = 0; k < m[i].nactions; k++)
			buf_printf(
			    &all, "%s%s", k == 0 ? "" : ",", m[i].actions[k]);
		cr_expect_eq(m[i].schema == NULL, m[i].payload == NULL);
	}
	cr_expect_str_eq(buf_text(&all), expected, "%s", buf_text(&all));
	buf_free(&all);
}

static void
text_holds(const char *text, const char *expected)
{
	struct asyncapi *doc = read_text(text);

	holds(doc, expected);
	asyncapi_free(doc);
}

static void
refuses(
    const char *name, const char *text, enum err_code code, const char *message)
{
	struct asyncapi *doc = NULL;
	struct err err = ERR_INIT;

	cr_expect_eq(asyncapi_read(name, str_of(text), &doc, &err), -1,
	    "was taken: %s", text);
	cr_expect_null(doc);
	cr_expect_eq(err.code, code, "%s: %s", text, err.msg);
	cr_expect_eq(strncmp(err.msg, message, strlen(message)), 0,
	    "%s\n says \"%s\",\n  not \"%s\"", text, err.msg, message);
}

#define REFUSES(text, message)                                                 \
	refuses("t.yml", text, ERR_INVALID, "t.yml: " message)

Test(asyncapi, finds_what_the_published_document_has)
{
	struct buf text = BUF_INIT;
	struct asyncapi *doc;

	cr_assert_eq(file_read("src/catalog/sentry-webhooks-asyncapi.yml",
			 1 << 20, &text, NULL),
	    0);
	doc = read_text(text.data);
	buf_free(&text);
	cr_expect_str_eq(asyncapi_name(doc), "t.yml");
	holds(doc,
	    "issue:issue:created,resolved,assigned,archived,unresolved,ignored "
	    "error:event_alert:triggered "
	    "comment:comment:created,updated,deleted "
	    "install:installation:created,deleted "
	    "alert:metric_alert:resolved,warning,critical");
	cr_expect_str_eq(asyncapi_messages(doc, &(size_t){0})[0].summary,
	    "Issue lifecycle webhook");
	asyncapi_free(doc);
}

Test(asyncapi, reads_json_as_well)
{
	text_holds("{\"asyncapi\":\"2.0.0\",\"channels\":{\"a/b\":{\"publish\":"
		   "{\"message\":{\"payload\":{\"properties\":{\"action\":"
		   "{\"const\":\"x\"}}}}}}}}",
	    "a/b:a/b:x");
}

Test(asyncapi, takes_the_channel_for_the_resource_where_headers_say_nothing)
{
	text_holds(CHANNEL("      message: {payload: true}\n"), "c:c:");
	text_holds(CHANNEL("      message: {}\n"), "c:c:");
	text_holds(CHANNEL("      message: {headers: {properties: {x: {}}}}\n"),
	    "c:c:");
	text_holds(CHANNEL("      message: {headers: {properties: "
			   "{sentry-hook-resource: {type: string}}}}\n"),
	    "c:c:");
}

Test(asyncapi, takes_resources_from_enum_const_and_references)
{
	text_holds(CHANNEL("      message: {headers: {properties: "
			   "{Sentry-Hook-Resource: {enum: [a, b, a, 5]}}}}\n"),
	    "c:a,b:");
	text_holds(CHANNEL("      message: {headers: {properties: "
			   "{sentry-hook-resource: {const: a}}}}\n"),
	    "c:a:");
	text_holds(
	    CHANNEL("      message: {headers: {$ref: '#/h'}}\n"
		    "h: {properties: {sentry-hook-resource: {$ref: '#/r'}}}\n"
		    "r: {enum: [z]}\n"),
	    "c:z:");
}

Test(asyncapi, takes_actions_through_all_of_any_of_and_references)
{
	text_holds(
	    CHANNEL("      message:\n"
		    "        payload:\n"
		    "          allOf: [{$ref: '#/s'}, {type: object}]\n"
		    "s: {allOf: [{properties: {action: {$ref: '#/a'}}}]}\n"
		    "a: {anyOf: [{enum: [x, y]}, {const: z}, {pattern: p}]}\n"),
	    "c:c:x,y,z");
}

Test(asyncapi, reads_lists_of_messages_and_both_operations)
{
	text_holds(HEAD
	    "channels:\n"
	    "  a:\n"
	    "    subscribe: {message: {oneOf: [{$ref: '#/m/1'}, {}]}}\n"
	    "    publish: {message: {$ref: '#/m/0'}}\n"
	    "  b: {$ref: '#/m/2'}\n"
	    "  c: {description: nothing here}\n"
	    "m:\n"
	    "  - payload: {properties: {action: {const: p}}}\n"
	    "  - {$ref: '#/m/0'}\n"
	    "  - {subscribe: {message: {}}}\n",
	    "a:a:p a:a: a:a:p b:b:");
}

Test(asyncapi, summarizes_in_one_line)
{
	static const struct {
		const char *text;
		const char *summary;
	} t[] = {
	    {CHANNEL(
		 "      summary: op\n      message: {summary: m., title: t}\n"),
		"m"},
	    {CHANNEL("      summary: op\n      message: {title: t}\n"), "op"},
	    {CHANNEL("      message: {title: t}\n"), "t"},
	    {HEAD "channels:\n  c:\n    description: |\n      One line.\n"
		  "      Another.\n    publish: {message: {}}\n",
		"One line"},
	    {CHANNEL("      message: {}\n"), ""},
	};
	struct asyncapi *doc;
	size_t i, n;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		doc = read_text(t[i].text);
		cr_expect_str_eq(
		    asyncapi_messages(doc, &n)[0].summary, t[i].summary);
		asyncapi_free(doc);
	}
}

Test(asyncapi, resolves_references_within_the_document_only)
{
	struct asyncapi *doc;
	const struct jval *root;

	doc = read_text(CHANNEL("      message: {}\n"
				"a: {$ref: '#/b%20c/x~1y'}\n"
				"b c: {x/y: found}\n"
				"loop: {$ref: '#/loop'}\n"
				"away: {$ref: 'http://example.com/x'}\n"
				"gone: {$ref: '#/nowhere'}\n"
				"odd: {$ref: '#b'}\n"));
	root = asyncapi_root(doc);
	cr_expect(str_eq(jval_str(asyncapi_resolve(root, jdoc_gets(root, "a"))),
	    STR("found")));
	cr_expect_null(asyncapi_resolve(root, jdoc_gets(root, "loop")));
	cr_expect_null(asyncapi_resolve(root, jdoc_gets(root, "away")));
	cr_expect_null(asyncapi_resolve(root, jdoc_gets(root, "gone")));
	cr_expect_null(asyncapi_resolve(root, jdoc_gets(root, "odd")));
	cr_expect_null(asyncapi_resolve(root, NULL));
	cr_expect_eq(asyncapi_resolve(root, root), root);
	asyncapi_free(doc);
}

Test(asyncapi, refuses_what_is_no_asyncapi_document)
{
	REFUSES("", "line 1: there is nothing in it");
	REFUSES("a: [1\n", "line 2: ");
	refuses("t.json", "{\"a\":1,\n }", ERR_INVALID, "t.json: line 2: ");
	refuses("t.json", "asyncapi: 2.6.0", ERR_INVALID, "t.json: line 1: ");
	refuses("t.yml", "{\"a\":01}", ERR_INVALID, "t.yml: line 1: ");
	REFUSES("[1]", "/: not an AsyncAPI document: it has no `asyncapi`");
	REFUSES("openapi: 3.0.0", "/: not an AsyncAPI document");
	REFUSES("asyncapi: 2.6", "/: not an AsyncAPI document");
	REFUSES("asyncapi: 3.0.0\nchannels: {}\n",
	    "/asyncapi: version 3.0.0 is not supported, 2.x is");
	REFUSES(HEAD, "/channels: must be an object with a channel each");
	REFUSES(HEAD "channels: [1]\n", "/channels: must be an object");
	REFUSES(HEAD "channels: {}\n", "/channels: no channel has a message");
	REFUSES(HEAD "channels: {c: {suscribe: {message: {}}}}\n",
	    "/channels: no channel has a message");
}

Test(asyncapi, refuses_broken_channels_and_messages_and_says_where)
{
	REFUSES(HEAD "channels: {a/b: 5}\n",
	    "/channels/a~1b: a channel must be an object");
	REFUSES(
	    HEAD "channels: {'': {}}\n", "/channels/: a channel needs a name");
	REFUSES(HEAD "channels: {c: {$ref: '#/x'}}\n",
	    "/channels/c: the $ref \"#/x\" leads nowhere in this document");
	REFUSES(CHANNEL("      message: 5\n"),
	    "/channels/c/subscribe/message: a message must be an object");
	REFUSES(CHANNEL("      message: {$ref: 'other.yml#/m'}\n"),
	    "/channels/c/subscribe/message: the $ref \"other.yml#/m\" leads");
	REFUSES(CHANNEL("      message: {$ref: '#/x'}\nx: {$ref: '#/x'}\n"),
	    "/channels/c/subscribe/message: the $ref \"#/x\" leads nowhere");
	REFUSES(CHANNEL("      message: {oneOf: 5}\n"),
	    "/channels/c/subscribe/message/oneOf: must be a list of messages");
	REFUSES(CHANNEL("      message: {oneOf: [{}, 7]}\n"),
	    "/channels/c/subscribe/message/oneOf/1: a message must be");
	REFUSES(CHANNEL("      message: {schemaFormat: application/x-avro}\n"),
	    "/channels/c/subscribe/message/schemaFormat: payloads in "
	    "application/x-avro are not supported, only JSON Schema is");
	text_holds(CHANNEL("      message: {schemaFormat: "
			   "'application/schema+json;version=draft-07'}\n"),
	    "c:c:");
}

#define PAYLOAD "/channels/c/subscribe/message/payload/"

Test(asyncapi, refuses_schemas_that_are_none_and_says_where)
{
	REFUSES(CHANNEL("      message: {payload: {type: strin}}\n"),
	    PAYLOAD "type: \"strin\" is not a type");
	REFUSES(CHANNEL("      message: {payload: {pattern: '('}}\n"),
	    PAYLOAD "pattern: \"(\" is not a regular expression");
	REFUSES(CHANNEL("      message: {payload: {$ref: '#/nowhere'}}\n"),
	    PAYLOAD "$ref: \"#/nowhere\" leads nowhere");
	REFUSES(CHANNEL("      message: {payload: {properties: {a: 5}}}\n"),
	    PAYLOAD "properties/a: must be a schema");
}

Test(asyncapi, refuses_what_is_too_deep_or_grows_too_large)
{
	struct buf text = BUF_INIT;
	int i;

	buf_puts(&text, HEAD "a0: &a0 [lol]\n");
	for (i = 1; i <= 30; i++)
		buf_printf(&text, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d]\n", i, i,
		    i - 1, i - 1, i - 1, i - 1);
	refuses("t.yml", text.data, ERR_TOO_LARGE, "t.yml: line ");
	buf_reset(&text);
	for (i = 0; i < 1000; i++)
		buf_puts(&text, "{\"a\":");
	refuses("t.json", text.data, ERR_TOO_LARGE, "t.json: line 1: ");
	buf_free(&text);
}
