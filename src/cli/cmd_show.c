/*
 * moonpost show: all about one delivery.
 */

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "json/jwrite.h"

#include "config/config.h"
#include "config/option.h"

#include "cli/client.h"
#include "cli/show_fixture.h"

#define LABEL_WIDTH 13

/* Text from elsewhere, line by line, each behind ${indent} blanks. */
static void
print_lines(struct str text, int indent)
{
	const char *end = text.data + text.len, *line = text.data, *stop;

	while (line < end) {
		stop = memchr(line, '\n', (size_t)(end - line));
		if (stop == NULL)
			stop = end;
		(void)printf("%*s", indent, "");
		cmd_put_visible(
		    stdout, (struct str){line, (size_t)(stop - line)});
		(void)fputc('\n', stdout);
		line = stop + 1;
	}
}

static void
print_label(const char *label, int indent)
{
	(void)printf("%*s%-*s", indent, "", LABEL_WIDTH, label);
}

/* A labelled value, unless there is none. */
static void
print_value(
    const struct jval *object, const char *name, const char *label, int indent)
{
	const struct jval *value = jdoc_gets(object, name);
	struct buf text = BUF_INIT;

	if (value == NULL || jval_kind(value) == JDOC_NULL)
		return;
	client_put_value(&text, value);
	print_label(label, indent);
	cmd_put_visible(stdout, (struct str){buf_text(&text), text.len});
	(void)fputc('\n', stdout);
	buf_free(&text);
}

static void
print_heading(const char *text)
{
	(void)fputc('\n', stdout);
	cmd_styled(stdout, cmd_colour(stdout), CMD_BOLD, text);
	(void)fputc('\n', stdout);
}

static void
print_state(struct str state)
{
	char *text = mem_strndup(state.data, state.len);
	int style = client_style_of(state);

	if (style == -1)
		cmd_put_visible(stdout, state);
	else
		cmd_styled(
		    stdout, cmd_colour(stdout), (enum cmd_style)style, text);
	free(text);
}

static void
print_pretty(const struct jval *value, int indent)
{
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 2);

	if (value == NULL)
		jwrite_null(&w);
	else
		jwrite_jval(&w, value);
	print_lines((struct str){out.data, out.len}, indent);
	buf_free(&out);
}

/* ---- the parts -----------------------------------------------------------
 */

static void
print_head(const struct jval *d)
{
	const struct jval *violation = jdoc_gets(d, "violation");
	struct buf text = BUF_INIT;
	struct str state = jdoc_get_str(d, "state");

	buf_puts(&text, "delivery ");
	client_put_value(&text, jdoc_gets(d, "id"));
	buf_puts(&text, ": ");
	client_put_value(&text, jdoc_gets(d, "resource"));
	if (jdoc_get_str(d, "action").len > 0) {
		buf_putc(&text, '.');
		client_put_value(&text, jdoc_gets(d, "action"));
	}
	cmd_styled(stdout, cmd_colour(stdout), CMD_BOLD, buf_text(&text));
	(void)fputc('\n', stdout);
	print_label("state", 0);
	print_state(state);
	(void)fputc('\n', stdout);
	buf_reset(&text);
	client_put_time(&text, jdoc_gets(d, "received_at"), 1);
	print_label("received", 0);
	(void)puts(buf_text(&text));
	buf_free(&text);
	print_value(d, "size", "bytes", 0);
	print_value(d, "integration", "integration", 0);
	print_value(d, "channel", "channel", 0);
	print_value(d, "request_id", "request", 0);
	print_value(d, "idempotency_key", "key", 0);
	print_value(d, "possible_duplicate_of", "repeats", 0);
	if (violation == NULL || jval_kind(violation) != JDOC_OBJECT)
		return;
	print_heading("violation");
	print_value(violation, "pointer", "at", 2);
	print_value(violation, "message", "message", 2);
}

static void
print_headers(const struct jval *headers)
{
	const struct jval *e;
	size_t i;

	if (headers == NULL || jval_kind(headers) != JDOC_OBJECT ||
	    headers->len == 0)
		return;
	print_heading("headers");
	for (e = headers + 1, i = 0; i < headers->len;
	     i++, e = jval_next(e + 1)) {
		(void)fputs("  ", stdout);
		cmd_put_visible(stdout, jval_str(e));
		(void)fputs(": ", stdout);
		if (jval_kind(e + 1) == JDOC_STRING)
			cmd_put_visible(stdout, jval_str(e + 1));
		(void)fputc('\n', stdout);
	}
}

/* "14:07:00.123 warn  said so  ticket=42" */
static void
print_log(const struct jval *log)
{
	const struct jval *line, *fields, *f;
	struct buf text = BUF_INIT;
	struct jwrite w;
	struct str at, level;
	size_t i, k;

	if (log == NULL || jval_kind(log) != JDOC_ARRAY || log->len == 0)
		return;
	(void)puts("    log");
	for (line = log + 1, i = 0; i < log->len; i++, line = jval_next(line)) {
		buf_reset(&text);
		client_put_time(&text, jdoc_gets(line, "at"), 1);
		at = (struct str){buf_text(&text), text.len};
		if (at.len > 11)
			at = (struct str){at.data + 11, at.len - 11};
		level = jdoc_get_str(line, "level");
		(void)printf("      %.*s ", (int)at.len, at.data);
		(void)printf("%-5.*s ", (int)level.len, level.data);
		cmd_put_visible(stdout, jdoc_get_str(line, "message"));
		fields = jdoc_gets(line, "fields");
		for (f = fields + 1, k = 0;
		     fields != NULL && jval_kind(fields) == JDOC_OBJECT &&
		     k < fields->len;
		     k++, f = jval_next(f + 1)) {
			buf_reset(&text);
			buf_putc(&text, ' ');
			buf_put(&text, jval_str(f).data, jval_str(f).len);
			buf_putc(&text, '=');
			w = jwrite_begin(&text, 0);
			jwrite_jval(&w, f + 1);
			cmd_put_visible(
			    stdout, (struct str){text.data, text.len});
		}
		(void)fputc('\n', stdout);
	}
	buf_free(&text);
}

/* "POST https://... 201, 12 ms" */
static void
print_calls(const struct jval *calls)
{
	const struct jval *call;
	struct buf text = BUF_INIT;
	size_t i;

	if (calls == NULL || jval_kind(calls) != JDOC_ARRAY || calls->len == 0)
		return;
	(void)puts("    calls");
	for (call = calls + 1, i = 0; i < calls->len;
	     i++, call = jval_next(call)) {
		buf_reset(&text);
		buf_puts(&text, "      ");
		client_put_value(&text, jdoc_gets(call, "method"));
		buf_putc(&text, ' ');
		client_put_value(&text, jdoc_gets(call, "url"));
		buf_putc(&text, ' ');
		client_put_value(&text, jdoc_gets(call, "status"));
		buf_puts(&text, ", ");
		client_put_value(&text, jdoc_gets(call, "duration_ms"));
		buf_puts(&text, " ms");
		if (jdoc_get_str(call, "error").len > 0) {
			buf_puts(&text, ": ");
			client_put_value(&text, jdoc_gets(call, "error"));
		}
		cmd_put_visible(stdout, (struct str){text.data, text.len});
		(void)fputc('\n', stdout);
	}
	buf_free(&text);
}

static void
print_run(const struct jval *run)
{
	struct str error = jdoc_get_str(run, "error");
	struct str traceback = jdoc_get_str(run, "traceback");
	const struct jval *memory = jdoc_gets(run, "memory_bytes");
	struct buf text = BUF_INIT;

	buf_puts(&text, "  run ");
	client_put_value(&text, jdoc_gets(run, "n"));
	buf_puts(&text, "  ");
	client_put_time(&text, jdoc_gets(run, "started_at"), 1);
	(void)printf("%s  ", buf_text(&text));
	print_state(jdoc_get_str(run, "outcome"));
	buf_reset(&text);
	buf_puts(&text, ", ");
	client_put_value(&text, jdoc_gets(run, "duration_ms"));
	buf_puts(&text, " ms, ");
	client_put_value(&text, jdoc_gets(run, "cpu_ms"));
	buf_puts(&text, " ms CPU");
	if (memory != NULL && jval_kind(memory) == JDOC_INT)
		buf_printf(&text, ", %lld KiB",
		    (long long)((memory->v.i + 1023) / 1024));
	(void)puts(buf_text(&text));
	buf_free(&text);
	if (error.len > 0)
		print_lines(error, 4);
	if (traceback.len > 0)
		print_lines(traceback, 6);
	print_log(jdoc_gets(run, "log"));
	print_calls(jdoc_gets(run, "calls"));
}

static void
print_job(const struct jval *job)
{
	const struct jval *runs = jdoc_gets(job, "runs"), *e;
	const struct jval *steps = jdoc_gets(job, "steps");
	struct buf text = BUF_INIT;
	struct jwrite w;
	size_t i;

	buf_puts(&text, "job ");
	client_put_value(&text, jdoc_gets(job, "script"));
	buf_putc(&text, ' ');
	client_put_value(&text, jdoc_gets(job, "handler"));
	(void)fputc('\n', stdout);
	cmd_styled(stdout, cmd_colour(stdout), CMD_BOLD, buf_text(&text));
	(void)fputs(": ", stdout);
	print_state(jdoc_get_str(job, "state"));
	buf_reset(&text);
	buf_puts(&text, ", attempts ");
	client_put_value(&text, jdoc_gets(job, "attempts"));
	if (jdoc_get_str(job, "next_at").len > 0) {
		buf_puts(&text, ", next at ");
		client_put_time(&text, jdoc_gets(job, "next_at"), 0);
	}
	(void)puts(buf_text(&text));
	for (e = runs + 1, i = 0;
	     runs != NULL && jval_kind(runs) == JDOC_ARRAY && i < runs->len;
	     i++, e = jval_next(e))
		print_run(e);
	for (e = steps + 1, i = 0;
	     steps != NULL && jval_kind(steps) == JDOC_ARRAY && i < steps->len;
	     i++, e = jval_next(e)) {
		buf_reset(&text);
		buf_puts(&text, "  step ");
		client_put_value(&text, jdoc_gets(e, "name"));
		buf_puts(&text, " = ");
		w = jwrite_begin(&text, 0);
		if (jdoc_gets(e, "result") != NULL)
			jwrite_jval(&w, jdoc_gets(e, "result"));
		cmd_put_visible(stdout, (struct str){text.data, text.len});
		(void)fputc('\n', stdout);
	}
	buf_free(&text);
}

static void
print_delivery(const struct jval *d)
{
	const struct jval *jobs = jdoc_gets(d, "jobs"), *warnings, *job;
	size_t i;

	print_head(d);
	print_headers(jdoc_gets(d, "headers"));
	warnings = jdoc_gets(d, "warnings");
	if (warnings != NULL && jval_kind(warnings) == JDOC_ARRAY &&
	    warnings->len > 0) {
		print_heading("warnings");
		print_pretty(warnings, 2);
	}
	print_heading("payload");
	if (jdoc_get_str(d, "payload_error").len > 0)
		print_lines(jdoc_get_str(d, "payload_error"), 2);
	else
		print_pretty(jdoc_gets(d, "payload"), 2);
	for (job = jobs + 1, i = 0;
	     jobs != NULL && jval_kind(jobs) == JDOC_ARRAY && i < jobs->len;
	     i++, job = jval_next(job))
		print_job(job);
}

static int
print_fixture(const struct jval *delivery)
{
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	int status = CMD_GOOD;

	if (show_fixture(delivery, &text, &err) == -1) {
		(void)fprintf(stderr, "moonpost show: %s\n", err.msg);
		status = CMD_BAD;
	} else {
		(void)fwrite(text.data, 1, text.len, stdout);
	}
	buf_free(&text);
	return status;
}

static int
run(const struct cmd_call *call)
{
	struct client_answer answer = {.text = BUF_INIT};
	struct buf path = BUF_INIT;
	struct client client;
	int status;

	if (call->nargs == 0)
		return cmd_misuse(call,
		    "name a delivery by its ID ('moonpost deliveries' lists "
		    "them)");
	status = client_open(call, &client);
	if (status != CMD_GOOD)
		goto out;
	buf_puts(&path, "/api/deliveries/");
	client_put_encoded(&path, call->args[0]);
	status = client_call(&client, buf_text(&path), NULL, &answer);
	if (status != CMD_GOOD)
		goto out;

	if (call->config->fixture) {
		status = print_fixture(jdoc_root(&answer.doc));
		goto out;
	}

	/* As it is: the numbers of the payload stay what they were. */
	if (call->config->json) {
		(void)fwrite(answer.text.data, 1, answer.text.len, stdout);
		(void)fputc('\n', stdout);
	} else {
		print_delivery(jdoc_root(&answer.doc));
	}
out:
	client_answer_free(&answer);
	buf_free(&path);
	client_close(&client);
	return status;
}

const struct cmd_entry cmd_show = {
    .name = "show",
    .usage = "ID [options]",
    .help = "tell all about one delivery: payload, runs, errors, log",
    .about =
	"Ask a running host for a delivery: its headers and payload, and for "
	"each job the runs with their error, traceback, log lines and outbound "
	"calls, and the steps that were recorded. Secrets, tokens and "
	"signatures are not shown. --fixture prints the delivery as a test of "
	"its handlers instead, to be saved as NAME_test.lua in the scripts "
	"folder.",
    .examples = "moonpost show 42\n"
		"moonpost show 42 --json | jq .payload\n"
		"moonpost show 42 --fixture > scripts/triage_test.lua",
    .options = OPTION_FOR_SHOW,
    .max_args = 1,
    .run = run,
};
