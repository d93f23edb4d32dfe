/*
 * How fast JSON is read and written.  The texts of each FILE, one a line, are
 * read beside other libraries, in turns; those of some 20 KB are held to the
 * goals.  They follow each other, as bodies do: a processor learns one text by
 * heart, and then shows twice the speed.  Without FILEs, texts of other shapes
 *are read and written by us alone.
 *
 *	build/release/tests/bench/bench_json [FILE...]
 *
 *	BENCH_ROUNDS  turns of each (default 15)
 *	BENCH_MS      of a turn, in CPU time (default 10)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

#include "json/jdoc.h"
#include "json/jwrite.h"

#include "bench/measure.h"
#include "bench/peers/json.h"

/* Of a text of this length or more. */
#define GOAL_BYTES 20000
#define GOAL_GB_S 1.0
#define GOAL_CJSON 4.0

struct subject {
	struct measure_texts *texts;
	struct jdoc doc;
	struct buf out;
};

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

static struct str
next(struct subject *s)
{
	return s->texts->list[measure_next(s->texts)];
}

static void
parse(void *cookie)
{
	struct subject *s = cookie;
	struct str text = next(s);
	struct err err;

	if (jdoc_parse(&s->doc, text.data, text.len, NULL, &err) == -1)
		measure_fail("jdoc", err.msg);
}

static void
write_again(void *cookie)
{
	struct subject *s = cookie;
	struct jwrite w;

	buf_reset(&s->out);
	w = jwrite_begin(&s->out, 0);
	jwrite_jval(&w, jdoc_root(&s->doc));
}

static void
parse_cjson(void *cookie)
{
	struct str text = next(cookie);

	if (peer_cjson(text.data, text.len) == -1)
		measure_fail("cJSON", "refused the text");
}

static void
parse_jansson(void *cookie)
{
	struct str text = next(cookie);

	if (peer_jansson(text.data, text.len) == -1)
		measure_fail("jansson", "refused the text");
}

static void
parse_json_c(void *cookie)
{
	struct str text = next(cookie);

	if (peer_json_c(text.data, text.len) == -1)
		measure_fail("json-c", "refused the text");
}

/* Bytes in nanoseconds are GB in seconds. */
static double
mb_s(double bytes, const struct measure *m)
{
	return bytes / m->ns * 1e3;
}

/* Beside the others. */
static void
compare(const char *path)
{
	struct measure_texts texts;
	struct subject s = {.texts = &texts};
	struct measure all[] = {
	    {"jdoc (checks UTF-8)", parse, &s, 0},
	    {"cJSON", parse_cjson, &s, 0},
	    {"json-c", parse_json_c, &s, 0},
	    {"jansson (checks UTF-8)", parse_jansson, &s, 0},
	};
	size_t i;

	measure_texts_read(path, &texts);
	measure_in_turns(all, NELEMS(all));
	(void)printf("\n%s, %zu bodies of %.0f bytes: parse one and give it "
		     "back\n",
	    texts.name, texts.n, texts.bytes);
	(void)printf(
	    "  %-28s %10s %8s %10s\n", "", "CPU us", "MB/s", "jdoc is");
	for (i = 0; i < NELEMS(all); i++)
		(void)printf("  %-28s %10.2f %8.0f %8.1f x\n", all[i].name,
		    all[i].ns / 1e3, mb_s(texts.bytes, &all[i]),
		    all[i].ns / all[0].ns);
	if (texts.bytes >= GOAL_BYTES) {
		measure_verdict("parse", mb_s(texts.bytes, &all[0]) / 1e3,
		    MEASURE_AT_LEAST, GOAL_GB_S, " GB/s");
		measure_verdict("jdoc / cJSON", all[1].ns / all[0].ns,
		    MEASURE_AT_LEAST, GOAL_CJSON, " x");
	}
	jdoc_free(&s.doc);
	measure_texts_free(&texts);
}

/* One text, by us alone. */
static void
measure(const char *name, const char *text, size_t len)
{
	struct measure_texts texts = {.list = {{text, len}}, .n = 1};
	struct subject s = {.texts = &texts, .out = BUF_INIT};
	struct measure both[] = {
	    {"parse", parse, &s, 0},
	    {"write", write_again, &s, 0},
	};

	parse(&s);
	measure_in_turns(both, NELEMS(both));
	(void)printf("  %-24s %8zu %8zu %10.1f %6.0f %10.1f %6.0f\n", name, len,
	    s.doc.tape_len, both[0].ns / 1e3, mb_s((double)len, &both[0]),
	    both[1].ns / 1e3, mb_s((double)s.out.len, &both[1]));
	jdoc_free(&s.doc);
	buf_free(&s.out);
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
			compare(argv[i]);
		return EXIT_SUCCESS;
	}
	(void)printf("\n  one text each, over and over\n  %-24s %8s %8s %10s "
		     "%6s %10s %6s\n",
	    "", "bytes", "values", "parse us", "MB/s", "write us", "MB/s");
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
