/*
 * How fast JSON is read and written, on texts like those that come in.
 *
 *	make build/release/tests/bench/bench_json
 *	build/release/tests/bench/bench_json [FILE...]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"

#include "json/jdoc.h"
#include "json/jwrite.h"

/* Each figure is the best of some runs, each of about this many bytes. */
#define RUNS 7
#define BYTES_A_RUN (100u << 20)

static void
put_frame(struct jwrite *w, int i)
{
	char text[200];
	int k;

	jwrite_object(w);
	(void)snprintf(text, sizeof(text),
	    "/usr/src/app/checkout/services/payment_%d.py", i);
	jwrite_member_text(w, "abs_path", text);
	jwrite_member_text(
	    w, "context_line", "        raise PaymentError(\"card declined\")");
	jwrite_member_int(w, "colno", 9 + i % 3);
	jwrite_key(w, "errors");
	jwrite_null(w);
	(void)snprintf(
	    text, sizeof(text), "checkout/services/payment_%d.py", i);
	jwrite_member_text(w, "filename", text);
	(void)snprintf(text, sizeof(text), "charge_card_%d", i);
	jwrite_member_text(w, "function", text);
	jwrite_key(w, "in_app");
	jwrite_bool(w, i % 2);
	jwrite_member_int(w, "lineno", 100 + i * 7);
	jwrite_member_text(w, "module", "checkout.services.payment");
	jwrite_key(w, "post_context");
	jwrite_array(w);
	jwrite_text(w, "    except Timeout:");
	jwrite_text(w, "        self.retry(countdown=5)");
	jwrite_array_end(w);
	jwrite_key(w, "pre_context");
	jwrite_array(w);
	for (k = 0; k < 2; k++)
		jwrite_text(w, "    response = gateway.charge(card, amount)");
	jwrite_array_end(w);
	jwrite_key(w, "vars");
	jwrite_object(w);
	jwrite_member_int(w, "amount", 1999 + i);
	jwrite_member_text(w, "currency", "EUR");
	jwrite_object_end(w);
	jwrite_object_end(w);
}

/* An error.created delivery with ${frames} frames, shaped like Sentry's. */
static void
put_error_event(struct buf *out, unsigned int indent, int frames)
{
	struct jwrite w = jwrite_begin(out, indent);
	int i;

	jwrite_object(&w);
	jwrite_member_text(&w, "action", "created");
	jwrite_key(&w, "installation");
	jwrite_object(&w);
	jwrite_member_text(&w, "uuid", "a8e5d37a-696c-4c54-adb5-b3f28d64c7de");
	jwrite_object_end(&w);
	jwrite_key(&w, "data");
	jwrite_object(&w);
	jwrite_key(&w, "error");
	jwrite_object(&w);
	jwrite_member_int(&w, "project", 4505281256063001);
	jwrite_member_text(&w, "event_id", "bb78c1407cea4519aa397afc059c793d");
	jwrite_key(&w, "timestamp");
	jwrite_real(&w, 1566248317.391);
	jwrite_member_text(&w, "title", "PaymentError: card declined");
	jwrite_member_text(&w, "level", "error");
	jwrite_key(&w, "tags");
	jwrite_array(&w);
	for (i = 0; i < 12; i++) {
		jwrite_array(&w);
		jwrite_text(&w, "browser.name");
		jwrite_text(&w, "Chrome Mobile 75.0.3770");
		jwrite_array_end(&w);
	}
	jwrite_array_end(&w);
	jwrite_key(&w, "exception");
	jwrite_object(&w);
	jwrite_key(&w, "values");
	jwrite_array(&w);
	jwrite_object(&w);
	jwrite_member_text(&w, "type", "PaymentError");
	jwrite_key(&w, "stacktrace");
	jwrite_object(&w);
	jwrite_key(&w, "frames");
	jwrite_array(&w);
	for (i = 0; i < frames; i++)
		put_frame(&w, i);
	jwrite_array_end(&w);
	jwrite_object_end(&w);
	jwrite_object_end(&w);
	jwrite_array_end(&w);
	for (i = 0; i < 4; i++)
		jwrite_object_end(&w);
}

static double
seconds_since(uint64_t start_ns)
{
	return (double)(clock_mono_ns() - start_ns) / 1e9;
}

static void
measure(const char *name, const char *text, size_t len)
{
	const size_t rounds = BYTES_A_RUN / len + 1;
	double took, parse_s = 1e9, write_s = 1e9;
	struct jdoc doc = {0};
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	struct jwrite w;
	uint64_t start;
	size_t i;
	int run;

	for (run = 0; run < RUNS; run++) {
		start = clock_mono_ns();
		for (i = 0; i < rounds; i++) {
			if (jdoc_parse(&doc, text, len, NULL, &err) == -1) {
				printf("%s: %s\n", name, err.msg);
				goto out;
			}
		}
		took = seconds_since(start) / (double)rounds;
		parse_s = took < parse_s ? took : parse_s;

		start = clock_mono_ns();
		for (i = 0; i < rounds / 4 + 1; i++) {
			buf_reset(&out);
			w = jwrite_begin(&out, 0);
			jwrite_jval(&w, jdoc_root(&doc));
		}
		took = seconds_since(start) / (double)(rounds / 4 + 1);
		write_s = took < write_s ? took : write_s;
	}
	printf("%-24s %8zu bytes %7zu values  parse %8.1f us %6.0f MB/s  "
	       "write %8.1f us %6.0f MB/s\n",
	    name, len, doc.tape_len, parse_s * 1e6, (double)len / parse_s / 1e6,
	    write_s * 1e6, (double)out.len / write_s / 1e6);

out:
	jdoc_free(&doc);
	buf_free(&out);
}

static void
measure_file(const char *path)
{
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	if (file_read(path, 64 << 20, &text, &err) == -1)
		printf("%s: %s\n", path, err.msg);
	else
		measure(
		    strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1,
		    text.data, text.len);
	buf_free(&text);
}

static void
measure_repeated(const char *name, const char *piece, int n)
{
	struct buf text = BUF_INIT;
	int i;

	buf_putc(&text, '[');
	for (i = 0; i < n; i++) {
		buf_puts(&text, i == 0 ? "" : ",");
		buf_puts(&text, piece);
	}
	buf_putc(&text, ']');
	measure(name, text.data, text.len);
	buf_free(&text);
}

int
main(int argc, char *argv[])
{
	struct buf text = BUF_INIT;
	int i;

	if (argc > 1) {
		for (i = 1; i < argc; i++)
			measure_file(argv[i]);
		return EXIT_SUCCESS;
	}
	put_error_event(&text, 0, 40);
	measure("error event, 40 frames", text.data, text.len);
	buf_reset(&text);
	put_error_event(&text, 2, 40);
	measure("the same, indented", text.data, text.len);
	buf_reset(&text);
	put_error_event(&text, 0, 2);
	measure("error event, 2 frames", text.data, text.len);
	buf_reset(&text);
	put_error_event(&text, 0, 2000);
	measure("error event, 1 MB", text.data, text.len);
	buf_free(&text);

	measure_repeated("short whole numbers", "12345", 4000);
	measure_repeated("timestamps", "1566248317.391", 2000);
	measure_repeated("17 digits (slow path)", "0.30000000000000004", 1000);
	measure_repeated("escapes", "\"a\\n\\tb\\\"c\\\"\\n\"", 1500);
	measure_repeated("Cyrillic",
	    "\"\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82, "
	    "\xD0\xBC\xD0\xB8\xD1\x80\"",
	    800);
	measure_repeated("Japanese",
	    "\"\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\xE3\x81\xAE\xE6\x96\x87\"",
	    1000);
	return EXIT_SUCCESS;
}
