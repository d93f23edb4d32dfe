/*
 * What checking costs beside parsing.  The bodies of each FILE, one a line (its
 * name begins with their resource: "event_alert.jsonl"), are checked against
 * what the built-in documents have for it, in turns with the parse of the same
 * bytes.  Without FILEs: what
 * hostile values and patterns can make it cost.
 *
 *	build/release/tests/bench/bench_schema [FILE...]
 *
 *	BENCH_ROUNDS  turns of each (default 15)
 *	BENCH_MS      of a turn, in CPU time (default 10)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "catalog/asyncapi.h"
#include "catalog/catalog.h"
#include "schema/schema.h"
#include "json/jdoc.h"

#include "bench/measure.h"

/* Of a body of this length or more: all checks together, to the parse. */
#define GOAL_BYTES 20000
#define GOAL_PART 0.25

struct subject {
	struct measure_texts *texts;
	struct jdoc *docs; /* Of each text. */
	const struct schema *schema;
	int rc; /* Of the last check. */
};

static const char event_schema[] =
    "{\"type\":\"object\",\"required\":[\"action\",\"data\",\"actor\","
    "\"installation\"],\"properties\":{\"action\":{\"type\":\"string\","
    "\"enum\":[\"created\",\"resolved\",\"assigned\"]},\"installation\":{"
    "\"type\":\"object\",\"required\":[\"uuid\"],\"properties\":{\"uuid\":{"
    "\"type\":\"string\",\"format\":\"uuid\"}}},\"actor\":{\"type\":\"object\","
    "\"properties\":{\"type\":{\"enum\":[\"user\",\"application\"]},\"id\":{"
    "\"type\":[\"string\",\"integer\"]},\"name\":{\"type\":\"string\"}}},"
    "\"data\":{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{"
    "\"error\":{\"type\":\"object\",\"required\":[\"event_id\",\"project\"],"
    "\"properties\":{\"event_id\":{\"type\":\"string\",\"pattern\":"
    "\"^[0-9a-f]{32}$\"},\"project\":{\"type\":\"integer\"},\"level\":{"
    "\"enum\":[\"fatal\",\"error\",\"warning\",\"info\",\"debug\"]},"
    "\"timestamp\":{\"type\":\"number\"},\"datetime\":{\"type\":\"string\","
    "\"format\":\"date-time\"},\"web_url\":{\"type\":\"string\",\"format\":"
    "\"uri\"},\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"array\","
    "\"items\":{\"type\":\"string\"},\"maxItems\":2}},\"frames\":{\"type\":"
    "\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"filename\":{"
    "\"type\":\"string\",\"nullable\":true},\"lineno\":{\"type\":\"integer\"},"
    "\"in_app\":{\"type\":\"boolean\"}}}}}}}}}}";

static void
put_event(struct buf *out)
{
	int i;

	buf_puts(out,
	    "{\"action\":\"created\",\"installation\":{\"uuid\":"
	    "\"7a485448-a9e2-4c85-8a3c-4f44175783c9\"},\"actor\":{\"type\":"
	    "\"application\",\"id\":\"sentry\",\"name\":\"Sentry\"},\"data\":{"
	    "\"error\":{\"event_id\":\"e4874d664c3540c1a32eab185f12c5ab\","
	    "\"project\":1,\"level\":\"error\",\"timestamp\":1566248777.677,"
	    "\"datetime\":\"2019-08-19T21:06:17.677000Z\",\"web_url\":"
	    "\"https://sentry.io/organizations/test-org/issues/1117540176/"
	    "events/e4874d664c3540c1a32eab185f12c5ab/\",\"tags\":[");
	for (i = 0; i < 20; i++)
		buf_printf(
		    out, "%s[\"tag.%d\",\"value %d\"]", i > 0 ? "," : "", i, i);
	buf_puts(out, "],\"frames\":[");
	for (i = 0; i < 50; i++)
		buf_printf(out,
		    "%s{\"abs_path\":\"/usr/src/app/checkout/services/"
		    "payment_%d.py\",\"context_line\":\"    raise "
		    "PaymentError(\\\"card declined\\\")\",\"colno\":9,"
		    "\"errors\":null,\"filename\":\"checkout/payment_%d.py\","
		    "\"function\":\"charge_card\",\"in_app\":true,\"lineno\":%"
		    "d,"
		    "\"module\":\"checkout.payment\",\"post_context\":[\"    "
		    "except Timeout:\",\"        retry()\"],\"pre_context\":["
		    "\"    response = gateway.charge(card, amount)\"],"
		    "\"vars\":{\"amount\":1999,\"currency\":\"'EUR'\"}}",
		    i > 0 ? "," : "", i, i, 100 + i);
	buf_puts(out, "]}}}");
}

static void
parse_one(struct subject *s, size_t i)
{
	const struct str text = s->texts->list[i];
	struct err err;

	if (jdoc_parse(&s->docs[i], text.data, text.len, NULL, &err) == -1)
		measure_fail("parse", err.msg);
}

/* Into one document, as the listener does it. */
static void
parse(void *cookie)
{
	struct subject *s = cookie;
	const struct str text = s->texts->list[measure_next(s->texts)];
	struct err err;

	if (jdoc_parse(&s->docs[0], text.data, text.len, NULL, &err) == -1)
		measure_fail("parse", err.msg);
}

/* As the catalogue asks: only whether, not why not. */
static void
check(void *cookie)
{
	struct subject *s = cookie;

	s->rc = schema_check(
	    s->schema, jdoc_root(&s->docs[measure_next(s->texts)]), NULL);
}

/* Parse all texts. */
static struct jdoc *
parse_all(struct measure_texts *texts)
{
	struct subject s = {
	    .texts = texts, .docs = mem_array(texts->n, sizeof(*s.docs))};
	size_t i;

	for (i = 0; i < texts->n; i++)
		parse_one(&s, i);
	return s.docs;
}

/* Why one of the bodies is refused, if one is. */
static const char *
verdict(const struct subject *s, struct schema_violation *violation)
{
	static char line[sizeof(*violation) + sizeof("refused: ")];
	size_t i;

	for (i = 0; i < s->texts->n; i++) {
		if (schema_check(
			s->schema, jdoc_root(&s->docs[i]), violation) == 0)
			continue;
		(void)snprintf(line, sizeof(line), "refused: %s %s",
		    violation->pointer, violation->message);
		return line;
	}
	return "valid";
}

/* Check bodies against all that the documents have for their resource. */
static void
bench_bodies(const struct catalog *catalog, const char *path)
{
	struct measure list[MEASURE_MAX + 1];
	struct subject s[MEASURE_MAX + 1];
	const struct catalog_resource *resource;
	const struct catalog_message *messages;
	struct schema_violation violation;
	struct measure_texts texts;
	struct jdoc one = {0}, *docs;
	double sum = 0;
	size_t i, n;

	measure_texts_read(path, &texts);
	docs = parse_all(&texts);
	resource = catalog_find(
	    catalog, (struct str){texts.name, strcspn(texts.name, ".")});
	if (resource == NULL)
		measure_fail(path, "its name begins with no resource");
	messages = catalog_messages(catalog, resource, &n);
	if (n >= MEASURE_MAX)
		measure_fail(path, "too many messages");
	for (i = 0; i < n; i++) {
		s[i] = (struct subject){
		    &texts, docs, messages[i].message->schema, 0};
		list[i] = (struct measure){
		    asyncapi_name(messages[i].document), check, &s[i], 0};
	}
	s[n] = (struct subject){&texts, &one, NULL, 0};
	list[n] = (struct measure){"parse", parse, &s[n], 0};

	measure_in_turns(list, n + 1);
	(void)printf("\n%s, %zu bodies of %.0f bytes: check one; to parse it "
		     "takes %.2f us of CPU\n",
	    texts.name, texts.n, texts.bytes, list[n].ns / 1e3);
	(void)printf("  %-30s %10s %10s\n", "", "CPU us", "of parse");
	for (i = 0; i < n; i++) {
		sum += list[i].ns;
		(void)printf("  %-30s %10.2f %8.1f %%  %s\n", list[i].name,
		    list[i].ns / 1e3, list[i].ns / list[n].ns * 100,
		    verdict(&s[i], &violation));
	}
	if (texts.bytes >= GOAL_BYTES)
		measure_verdict("all of them / parse", sum / list[n].ns,
		    MEASURE_BELOW, GOAL_PART, "");
	for (i = 0; i < texts.n; i++)
		jdoc_free(&docs[i]);
	free(docs);
	jdoc_free(&one);
	measure_texts_free(&texts);
}

/* One text with a schema. */
static void
bench(const char *name, struct str schema_text, struct str text)
{
	struct measure_texts texts = {.list = {text}, .n = 1};
	struct jdoc doc = {0}, value = {0};
	struct subject s = {&texts, &value, NULL, 0};
	struct measure one[] = {{name, check, &s, 0}};
	struct schema_violation violation;
	struct schema *schema;
	struct err err;

	parse(&s);
	if (jdoc_parse(&doc, schema_text.data, schema_text.len, NULL, &err) ==
		-1 ||
	    schema_compile(jdoc_root(&doc), jdoc_root(&doc), &schema, &err) ==
		-1)
		measure_fail(name, err.msg);
	s.schema = schema;
	measure_in_turns(one, NELEMS(one));
	(void)printf("  %-28s %8zu bytes %8zu values %10.2f us  %s\n", name,
	    text.len, value.tape_len, one[0].ns / 1e3, verdict(&s, &violation));
	schema_free(schema);
	jdoc_free(&doc);
	jdoc_free(&value);
}

static void
bench_list(const char *name, const char *schema, const char *element)
{
	struct buf text = BUF_INIT;

	buf_putc(&text, '[');
	while (text.len < 1000000) {
		buf_puts(&text, element);
		buf_putc(&text, ',');
	}
	buf_puts(&text, "0]");
	bench(name, str_of(schema), (struct str){text.data, text.len});
	buf_free(&text);
}

int
main(int argc, char *argv[])
{
	struct buf value = BUF_INIT;
	struct catalog *catalog;
	struct err err;
	int i;

	if (argc > 1) {
		if (catalog_open(NULL, 0, &catalog, &err) == -1)
			measure_fail("catalogue", err.msg);
		for (i = 1; i < argc; i++)
			bench_bodies(catalog, argv[i]);
		catalog_free(catalog);
		return EXIT_SUCCESS;
	}
	(void)printf("\n  an event with a schema of its own, and hostile "
		     "values: CPU time of a check\n");
	put_event(&value);
	bench("event", STR(event_schema), (struct str){value.data, value.len});
	value.len--;
	buf_puts(&value, ",\"action\":1}");
	bench("event, refused at the end", STR(event_schema),
	    (struct str){value.data, value.len});
	bench_list("a megabyte of integers",
	    "{\"items\":{\"type\":\"integer\"}}", "1234567");
	bench_list("easy patterns", "{\"items\":{\"pattern\":\"^[a-z]+$\"}}",
	    "\"abcdefgh\"");
	bench_list("patterns, many easy enough",
	    "{\"items\":{\"not\":{\"pattern\":\"^(a+)+$\"}}}", "\"aaaaaaaa!\"");
	bench_list("patterns that are hard",
	    "{\"items\":{\"not\":{\"pattern\":\"^(a+)+$\"}}}",
	    "\"aaaaaaaaaaaaaaaa!\"");
	bench_list("a pattern for ever",
	    "{\"items\":{\"not\":{\"pattern\":\"^(a+)+$\"}}}",
	    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"");
	bench_list("unique", "{\"uniqueItems\":true}", "\"abcdefgh\"");
	bench_list("host names", "{\"items\":{\"format\":\"hostname\"}}",
	    "\"xn--bcher-kva.example\"");
	buf_free(&value);
	return EXIT_SUCCESS;
}
