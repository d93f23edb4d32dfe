#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "catalog/ask.h"
#include "catalog/catalog.h"
#include "config/config.h"
#include "config/option.h"
#include "wire/remote.h"
#include "wire/source.h"
#include "wire/tests.h"

#include "cli/cmd.h"

struct tester {
	const struct cmd_call *call;
	struct catalog *catalog;
	struct remote *remote;
	struct cmd_unsafe unsafe;
	struct tests list;
	size_t passed;
	size_t failed;
	struct buf json; /* The results so far. */
	struct jwrite w;
};

/* Text as lines of a TAP comment. */
static void
put_comment(struct buf *out, struct str text)
{
	const char *end = text.data + text.len, *line = text.data, *stop;

	while (line < end) {
		stop = memchr(line, '\n', (size_t)(end - line));
		if (stop == NULL)
			stop = end;
		buf_puts(out, "# ");
		str_put_visible(out, (struct str){line, (size_t)(stop - line)});
		buf_putc(out, '\n');
		line = stop + 1;
	}
}

static void
put_notes(struct buf *out, const struct jval *result)
{
	const struct jval *notes = jdoc_gets(result, "notes"), *note;
	struct str traceback = jdoc_get_str(result, "traceback");
	uint32_t i;

	put_comment(out, jdoc_get_str(result, "message"));
	/* One frame says no more than the message. */
	if (traceback.len > 0 &&
	    memchr(traceback.data, '\n', traceback.len) != NULL)
		put_comment(out, traceback);
	if (notes == NULL || jval_kind(notes) != JDOC_ARRAY)
		return;
	for (note = notes + 1, i = 0; i < notes->len;
	     i++, note = jval_next(note))
		put_comment(out, jval_str(note));
}

/* One more line of TAP. */
static void
show(struct tester *tester, const struct tests_entry *entry, int good,
    const struct jval *result)
{
	struct buf out = BUF_INIT;

	buf_printf(&out, "%sok %zu - %s", good ? "" : "not ",
	    tester->passed + tester->failed, entry->file->chunk);
	if (entry->line > 0)
		buf_printf(&out, ":%u", entry->line);
	if (entry->name != NULL)
		buf_printf(&out, " %s", entry->name);
	buf_putc(&out, '\n');
	if (!good)
		put_notes(&out, result);
	cmd_flush(stdout, &out);
	(void)fflush(stdout);
}

static void
tell(struct tester *tester, const struct tests_entry *entry, int good,
    const struct jval *result, uint64_t took_ms)
{
	static const char *const members[] = {"message", "traceback", "notes"};
	struct jwrite *w = &tester->w;
	const struct jval *v;
	size_t i;

	jwrite_object(w);
	jwrite_member_text(w, "file", entry->file->chunk);
	jwrite_key(w, "line");
	if (entry->line > 0)
		jwrite_uint(w, entry->line);
	else
		jwrite_null(w);
	jwrite_member_text(w, "name", entry->name);
	jwrite_key(w, "ok");
	jwrite_bool(w, good);
	jwrite_member_int(w, "duration_ms", (int64_t)took_ms);
	for (i = 0; i < NELEMS(members) && !good; i++) {
		v = jdoc_gets(result, members[i]);
		jwrite_key(w, members[i]);
		if (v != NULL)
			jwrite_jval(w, v);
		else
			jwrite_null(w);
	}
	jwrite_object_end(w);
}

/* Count a result, which is JSON, and show it. */
static void
count(struct tester *tester, const struct tests_entry *entry, const char *json,
    uint64_t took_ms)
{
	const struct jval *result, *ok;
	struct jdoc doc = {0};
	int good = 0;

	if (jdoc_parse(&doc, json, strlen(json), NULL, NULL) == -1)
		(void)!jdoc_parse(&doc, "{}", 2, NULL, NULL);
	result = jdoc_root(&doc);
	ok = jdoc_gets(result, "ok");
	good = ok != NULL && jval_kind(ok) == JDOC_TRUE;
	tester->passed += good ? 1 : 0;
	tester->failed += good ? 0 : 1;
	if (tester->call->config->json)
		tell(tester, entry, good, result, took_ms);
	else
		show(tester, entry, good, result);
	jdoc_free(&doc);
}

/* A failure that no worker tells of. */
static void
count_failure(struct tester *tester, const struct tests_entry *entry,
    const char *message, uint64_t took_ms)
{
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);

	jwrite_object(&w);
	jwrite_key(&w, "ok");
	jwrite_bool(&w, 0);
	jwrite_member_text(&w, "message", message);
	jwrite_object_end(&w);
	count(tester, entry, buf_text(&json), took_ms);
	buf_free(&json);
}

/* Run one.  Returns -1 if no worker can be had, which was told. */
static int
run_one(struct tester *tester, const struct source *source,
    const struct tests_entry *entry)
{
	uint64_t begun_ms = clock_mono_ms();
	struct err err = ERR_INIT;
	char *json = NULL;

	if (entry->error != NULL) {
		count_failure(tester, entry, entry->error, 0);
		return 0;
	}
	if (tests_run(tester->remote, source, entry, &json, &err) == 0) {
		count(tester, entry, json, clock_mono_ms() - begun_ms);
		free(json);
		return 0;
	}
	if (err.code == ERR_UNAVAILABLE) {
		(void)cmd_fail(CMD_UNREACHABLE, &err);
		return -1;
	}
	count_failure(tester, entry, err.msg, clock_mono_ms() - begun_ms);
	return 0;
}

static void
show_summary(const struct tester *tester)
{
	struct buf line = BUF_INIT;

	buf_printf(
	    &line, "%zu passed, %zu failed", tester->passed, tester->failed);
	cmd_styled(stdout, cmd_colour(stdout),
	    tester->failed == 0 ? CMD_GREEN : CMD_RED, buf_text(&line));
	(void)fputc('\n', stdout);
	buf_free(&line);
}

static int
none(const struct tester *tester, const char *dir)
{
	const char *only = tester->call->config->only;
	struct err err = ERR_INIT;

	if (only != NULL)
		(void)err_set(&err, ERR_NOT_FOUND,
		    "no test in %s has '%s' in its name", dir, only);
	else
		(void)err_set(&err, ERR_NOT_FOUND,
		    "no tests in %s: a test is a function test_* in a file "
		    "NAME_test.lua there",
		    dir);
	return cmd_fail(CMD_USAGE, &err);
}

/* Run all; returns an exit status. */
static int
run_all(struct tester *tester, const struct source *source, const char *dir)
{
	const struct config *config = tester->call->config;
	struct err err = ERR_INIT;
	size_t i;

	if (tests_list(tester->remote, source, dir, config->only, &tester->list,
		&err) == -1)
		return cmd_fail(CMD_UNREACHABLE, &err);
	if (tester->list.n == 0)
		return none(tester, dir);
	tester->w = jwrite_begin(&tester->json, 2);
	jwrite_object(&tester->w);
	jwrite_key(&tester->w, "tests");
	jwrite_array(&tester->w);
	if (!config->json)
		(void)printf("TAP version 13\n1..%zu\n", tester->list.n);
	for (i = 0; i < tester->list.n; i++) {
		if (run_one(tester, source, &tester->list.v[i]) == -1)
			return CMD_UNREACHABLE;
	}
	if (config->json) {
		jwrite_array_end(&tester->w);
		jwrite_member_int(
		    &tester->w, "passed", (int64_t)tester->passed);
		jwrite_member_int(
		    &tester->w, "failed", (int64_t)tester->failed);
		jwrite_object_end(&tester->w);
		buf_putc(&tester->json, '\n');
		cmd_flush(stdout, &tester->json);
	} else {
		show_summary(tester);
	}
	return tester->failed == 0 ? CMD_GOOD : CMD_BAD;
}

static int
ask_catalog(void *cookie, const char *question, const char *body,
    char **ret_json, struct err *err)
{
	const struct tester *tester = cookie;

	return catalog_ask(tester->catalog, question, body, ret_json, err);
}

static int
is_unsafe(void *cookie, struct str script)
{
	const struct tester *tester = cookie;

	return config_is_unsafe(
	    tester->unsafe.config, tester->unsafe.integration, script);
}

static int
run(const struct cmd_call *call)
{
	const struct config *config = call->config;
	struct remote_options options = {
	    .setup = {.mem_bytes = config->memory_limit,
		.cpu_ms = config->cpu_limit_ms,
		.slow_ms = config->cpu_limit_ms,
		.handler_ms = config->handler_timeout_ms},
	    .deadline_ms = TESTS_DEADLINE_MS,
	    .catalog = ask_catalog,
	    .unsafe = is_unsafe,
	};
	struct tester tester = {.call = call, .json = BUF_INIT};
	struct source *source = NULL;
	struct err err = ERR_INIT;
	int status;

	if (tests_scan(config->scripts, &source, &err) == -1)
		return cmd_fail(
		    err.code == ERR_INVALID ? CMD_USAGE : CMD_UNREACHABLE,
		    &err);
	status = cmd_open_catalog(config, &tester.catalog);
	if (status == CMD_GOOD) {
		options.cookie = &tester;
		cmd_unsafe_find(config, config->scripts, &tester.unsafe);
		tester.remote = remote_open(&options);
		status = run_all(&tester, source, config->scripts);
	}
	remote_close(tester.remote);
	tests_clear(&tester.list);
	catalog_free(tester.catalog);
	source_unref(source);
	buf_free(&tester.json);
	return status;
}

const struct cmd_entry cmd_test = {
    .name = "test",
    .usage = "[DIR|FILE] [options]",
    .help = "run the tests of handlers, NAME_test.lua beside NAME.lua",
    .about =
	"Run every function test_* of the files *_test.lua in a folder "
	"(default: the scripts folder), or of one such file.  Each runs in a "
	"state of its own, in a worker process under the limits of a host; "
	"what its handlers send is answered by the test, and time stands still "
	"until it is moved, so that a sleep takes none.  A test that does not "
	"end is failed after ten seconds.\n\n"
	"The output is TAP, and a last line \"N passed, N failed\".  What "
	"tests "
	"can do is in lua/meta/testing.d.lua.\n\n"
	"Exit status: 0 all have passed, 1 some have not, 2 wrong usage, or "
	"there is no test, 3 there is no such folder.",
    .examples = "moonpost test\n"
		"moonpost test scripts/on_issue_test.lua\n"
		"moonpost test --only retries",
    .options = OPTION_FOR_TEST,
    .max_args = 1,
    .arg_is_scripts = 1,
    .run = run,
};
