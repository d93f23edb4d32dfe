/*
 * What checking costs beside parsing, on a large error event, and what hostile
 * values can make it cost.
 *
 *	make build/release/tests/bench/bench_schema
 *	build/release/tests/bench/bench_schema [SCHEMA VALUE]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"

#include "schema/schema.h"
#include "json/jdoc.h"

/* Each figure is the best of some runs of about this long. */
#define RUNS 7
#define RUN_NS 50000000U

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

static double
ns_of_check(const struct schema *schema, const struct jval *value,
    struct schema_violation *violation, int *ret_rc)
{
	uint64_t start, ns;
	double best = 0, each;
	long n;
	int run;

	for (run = 0; run < RUNS; run++) {
		start = clock_mono_ns();
		for (n = 0, ns = 0; ns < RUN_NS; n++) {
			*ret_rc = schema_check(schema, value, violation);
			ns = clock_mono_ns() - start;
		}
		each = (double)ns / (double)n;
		if (run == 0 || each < best)
			best = each;
	}
	return best;
}

static void
bench(const char *name, struct str schema_text, struct str text)
{
	struct schema_violation violation = {.message = ""};
	struct jdoc doc = {0}, value = {0};
	struct schema *schema;
	struct err err;
	double ns;
	int rc;

	if (jdoc_parse(&doc, schema_text.data, schema_text.len, NULL, &err) ==
		-1 ||
	    jdoc_parse(&value, text.data, text.len, NULL, &err) == -1 ||
	    schema_compile(jdoc_root(&doc), jdoc_root(&doc), &schema, &err) ==
		-1) {
		(void)fprintf(stderr, "%s: %s\n", name, err.msg);
		exit(EXIT_FAILURE);
	}
	ns = ns_of_check(schema, jdoc_root(&value), &violation, &rc);
	(void)printf("%-28s %8zu bytes %8zu values %12.0f ns%s%s\n", name,
	    text.len, value.tape_len, ns,
	    rc == 0 ? "" : "  refused: ", rc == 0 ? "" : violation.message);
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
	struct buf schema = BUF_INIT, value = BUF_INIT;
	struct err err;

	if (argc == 3) {
		if (file_read(argv[1], 1 << 28, &schema, &err) == -1 ||
		    file_read(argv[2], 1 << 28, &value, &err) == -1) {
			(void)fprintf(stderr, "%s\n", err.msg);
			return EXIT_FAILURE;
		}
		bench(argv[2], (struct str){schema.data, schema.len},
		    (struct str){value.data, value.len});
		buf_free(&schema);
		buf_free(&value);
		return EXIT_SUCCESS;
	}
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
