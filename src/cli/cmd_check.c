#include <sys/stat.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "json/jwrite.h"

#include "catalog/catalog.h"
#include "config/config.h"
#include "config/option.h"
#include "schedule/plan.h"
#include "wire/proto.h"
#include "wire/remote.h"
#include "wire/source.h"

#include "cli/check_lint.h"
#include "cli/cmd.h"
#include "cli/ui_scripts.h"

/* Loading is a matter of milliseconds; a loop at the top level is none. */
#define DEADLINE_MS 10000

/* Something to tell about a file. */
struct problem {
	const char *file;
	size_t line;   /* 0: none. */
	size_t column; /* In bytes, from 1; 0: none. */
	const char *message;
	const char *code; /* What kind of problem, for programs. */
	int note;         /* Worth a word, but not bad. */
};

struct checker {
	const struct cmd_call *call;
	struct catalog *catalog;
	struct remote *remote;
	struct cmd_unsafe unsafe;
	struct problem *problems;
	size_t nproblems;
	size_t cap;
	size_t bad; /* Problems that are no notes. */
	size_t nhandlers;
	struct ui_scripts components; /* What the scripts so far declare. */
	struct buf json;              /* The scripts so far. */
	struct jwrite w;
};

/* Who required a broken lib does not make it another problem. */
static int
same_message(const char *a, const char *b)
{
	const char *a_end = strstr(a, " (required by "),
		   *b_end = strstr(b, " (required by ");

	if (a_end == NULL || b_end == NULL)
		return strcmp(a, b) == 0;
	return str_eq((struct str){a, (size_t)(a_end - a)},
	    (struct str){b, (size_t)(b_end - b)});
}

/* Take note of a problem; the texts are copied, but for the code. */
static void
add(struct checker *checker, const struct problem *found)
{
	struct problem *problem;
	size_t i;

	/* Two scripts that require a broken lib tell the same of it. */
	for (i = 0; i < checker->nproblems; i++) {
		problem = &checker->problems[i];
		if (problem->line == found->line &&
		    problem->column == found->column &&
		    strcmp(problem->file, found->file) == 0 &&
		    same_message(problem->message, found->message))
			return;
	}
	checker->problems = mem_grow(checker->problems, &checker->cap,
	    checker->nproblems + 1, sizeof(*checker->problems));
	problem = &checker->problems[checker->nproblems++];
	*problem = *found;
	problem->file = mem_strdup(found->file);
	problem->message = mem_strdup(found->message);
	checker->bad += found->note ? 0 : 1;
}

/* Something that keeps a file from being served. */
static void
add_load(
    struct checker *checker, const char *file, size_t line, const char *message)
{
	add(checker, &(struct problem){.file = file,
			 .line = line,
			 .message = message,
			 .code = "load"});
}

static void
add_found(void *cookie, const struct check_finding *found)
{
	add(cookie, &(struct problem){.file = found->file,
			.line = found->line,
			.column = found->column,
			.message = found->message,
			.code = found->code});
}

/* "scripts/x.lua:3: what"; text without a place is about ${file}. */
static void
add_placed(struct checker *checker, const char *file, const char *text)
{
	const char *colon = strstr(text, ".lua:"), *end;
	uint64_t line;
	size_t digits;
	char *place;

	if (colon != NULL) {
		colon += strlen(".lua");
		digits = strspn(colon + 1, "0123456789");
		end = colon + 1 + digits;
		if (end[0] == ':' && end[1] == ' ' &&
		    str_parse_u64((struct str){colon + 1, digits}, UINT32_MAX,
			&line) == 0) {
			place = mem_strndup(text, (size_t)(colon - text));
			add_load(checker, place, (size_t)line, end + 2);
			free(place);
			return;
		}
	}
	/* Only the file's name stands in front. */
	if (strncmp(text, file, strlen(file)) == 0 &&
	    strncmp(text + strlen(file), ": ", 2) == 0)
		text += strlen(file) + 2;
	add_load(checker, file, 0, text);
}

/*
 * Load one file.  Return 0, or 1 if it does not load, or -1 if no worker can be
 * had, which was told.
 */
static int
load(struct checker *checker, const struct source *source,
    const struct source_file *script, struct proto_loaded *ret_loaded)
{
	struct proto_load request;
	struct err err = ERR_INIT;
	struct plans plans = {0};
	int rc;

	*ret_loaded = (struct proto_loaded){0};
	source_fill(source, script, "default", &request);
	rc = remote_load(checker->remote, &request, ret_loaded, &err);
	free(request.libs);
	if (rc == 0 && ret_loaded->error == NULL &&
	    plans_read(ret_loaded->declared, NULL, &plans, &err) == -1)
		ret_loaded->error = mem_strdup(err.msg);
	plans_clear(&plans);
	if (rc == -1 && err.code == ERR_UNAVAILABLE) {
		(void)cmd_fail(CMD_UNREACHABLE, &err);
		return -1;
	}
	if (rc == -1)
		add_placed(checker, script->chunk, err.msg);
	else if (ret_loaded->error != NULL)
		add_placed(checker, script->chunk, ret_loaded->error);
	return rc == -1 || ret_loaded->error != NULL;
}

static void
json_script(struct checker *checker, const struct source_file *script,
    const struct proto_loaded *loaded)
{
	size_t i;

	jwrite_object(&checker->w);
	jwrite_member_text(&checker->w, "name", script->name);
	jwrite_member_text(&checker->w, "file", script->chunk);
	jwrite_key(&checker->w, "handlers");
	jwrite_array(&checker->w);
	for (i = 0; i < loaded->nhandlers; i++)
		jwrite_text(&checker->w, loaded->handlers[i]);
	jwrite_array_end(&checker->w);
	jwrite_object_end(&checker->w);
}

/* An integration has one of each component, in whichever script. */
static void
add_components(struct checker *checker, const struct source_file *script,
    const struct proto_loaded *loaded)
{
	struct ui_scripts *all = &checker->components;
	const struct ui_script one = {script->chunk, loaded->declared};
	struct err err = ERR_INIT;

	if (ui_conflict(&one, all->list, all->n, &err) == -1)
		add_placed(checker, script->chunk, err.msg);
	ui_scripts_add(all, script->chunk, loaded->declared);
}

static const char no_handlers[] =
    "defines no global function on_*, so nothing calls it";

/* Load every script, and then the libs that none of them has required. */
static int
load_all(struct checker *checker, const struct source *source)
{
	const struct source_file *scripts, *libs;
	struct proto_loaded loaded;
	size_t nscripts, nlibs, i, k;
	char *required;
	int rc = -1;

	scripts = source_scripts(source, &nscripts);
	libs = source_libs(source, &nlibs);
	required = mem_zalloc(nlibs + 1);
	for (i = 0; i < nscripts; i++) {
		loaded = (struct proto_loaded){0};
		rc = 1;
		if (scripts[i].error != NULL)
			add_placed(checker, scripts[i].chunk, scripts[i].error);
		else
			rc = load(checker, source, &scripts[i], &loaded);
		if (rc == -1)
			goto out;
		add_components(checker, &scripts[i], &loaded);
		if (rc == 0 && loaded.nhandlers == 0 && loaded.declared == NULL)
			add(checker, &(struct problem){.file = scripts[i].chunk,
					 .message = no_handlers,
					 .code = "no-handlers",
					 .note = 1});
		checker->nhandlers += loaded.nhandlers;
		json_script(checker, &scripts[i], &loaded);
		for (k = 0; k < loaded.nlibs; k++) {
			if (source_lib(source, loaded.libs[k]) != NULL)
				required[source_lib(source, loaded.libs[k]) -
					 libs] = 1;
		}
		proto_loaded_clear(&loaded);
	}
	for (i = 0; i < nlibs; i++) {
		if (libs[i].error != NULL) {
			add_placed(checker, libs[i].chunk, libs[i].error);
		} else if (!required[i]) {
			rc = load(checker, source, &libs[i], &loaded);
			if (rc == -1)
				goto out;
			proto_loaded_clear(&loaded);
		}
	}
	rc = 0;

out:
	free(required);
	return rc;
}

static int
by_place(const void *a, const void *b)
{
	const struct problem *p = a, *q = b;
	int order = strcmp(p->file, q->file);

	if (order != 0)
		return order;
	if (p->line != q->line)
		return p->line < q->line ? -1 : 1;
	return p->column < q->column ? -1 : p->column > q->column;
}

static void
show_problems(const struct checker *checker)
{
	int colour = cmd_colour(stdout);
	const struct problem *p;
	struct buf place = BUF_INIT;
	size_t i;

	for (i = 0; i < checker->nproblems; i++) {
		p = &checker->problems[i];
		buf_puts(&place, p->file);
		if (p->line > 0)
			buf_printf(&place, ":%zu", p->line);
		buf_putc(&place, ':');
		cmd_styled(stdout, colour, p->note ? CMD_BOLD : CMD_RED,
		    buf_text(&place));
		(void)fputs(p->note ? " note: " : " ", stdout);
		cmd_put_visible(stdout, str_of(p->message));
		(void)fputc('\n', stdout);
		buf_reset(&place);
	}
	buf_free(&place);
}

static void
show_summary(const struct checker *checker, size_t nscripts, const char *dir)
{
	struct buf line = BUF_INIT;

	if (nscripts == 0) {
		buf_printf(&line, "no scripts in %s", dir);
	} else {
		buf_printf(&line, "%zu script%s, %zu handler%s: ", nscripts,
		    nscripts == 1 ? "" : "s", checker->nhandlers,
		    checker->nhandlers == 1 ? "" : "s");
		if (checker->bad == 0)
			buf_puts(&line, "good");
		else
			buf_printf(&line, "%zu problem%s", checker->bad,
			    checker->bad == 1 ? "" : "s");
	}
	cmd_styled(stdout, cmd_colour(stdout),
	    checker->bad == 0 ? CMD_GREEN : CMD_RED, buf_text(&line));
	(void)fputc('\n', stdout);
	buf_free(&line);
}

static void
json_problems(struct checker *checker)
{
	struct jwrite *w = &checker->w;
	const struct problem *p;
	size_t i;

	jwrite_key(w, "problems");
	jwrite_array(w);
	for (i = 0; i < checker->nproblems; i++) {
		p = &checker->problems[i];
		jwrite_object(w);
		jwrite_member_text(w, "file", p->file);
		jwrite_key(w, "line");
		if (p->line > 0)
			jwrite_uint(w, p->line);
		else
			jwrite_null(w);
		jwrite_key(w, "column");
		if (p->column > 0)
			jwrite_uint(w, p->column);
		else
			jwrite_null(w);
		jwrite_member_text(w, "code", p->code);
		jwrite_member_text(w, "severity", p->note ? "note" : "error");
		jwrite_member_text(w, "message", p->message);
		jwrite_object_end(w);
	}
	jwrite_array_end(w);
	jwrite_key(w, "good");
	jwrite_bool(w, checker->bad == 0);
}

/* Look at every script; returns an exit status. */
static int
check_all(struct checker *checker, const struct source *source, const char *dir)
{
	struct err err = ERR_INIT;
	size_t n;

	(void)source_scripts(source, &n);
	checker->w = jwrite_begin(&checker->json, 2);
	jwrite_object(&checker->w);
	jwrite_key(&checker->w, "scripts");
	jwrite_array(&checker->w);
	if (load_all(checker, source) == -1)
		return CMD_UNREACHABLE;
	jwrite_array_end(&checker->w);
	if (n > 0 && check_lint(source, checker->remote, &checker->unsafe,
			 checker->catalog, add_found, checker, &err) == -1)
		return cmd_fail(CMD_UNREACHABLE, &err);

	if (checker->nproblems > 0)
		qsort(checker->problems, checker->nproblems,
		    sizeof(*checker->problems), by_place);
	if (checker->call->config->json) {
		json_problems(checker);
		jwrite_object_end(&checker->w);
		buf_putc(&checker->json, '\n');
		cmd_flush(stdout, &checker->json);
	} else {
		show_problems(checker);
		show_summary(checker, n, dir);
	}
	return checker->bad == 0 ? CMD_GOOD : CMD_BAD;
}

/* Secrets are not what is checked, and seldom there: an address, as most are,
 * that leads nowhere. */
static const char *
stand_in(void *cookie, const char *name)
{
	(void)cookie;
	(void)name;
	return "https://secret.invalid/";
}

static int
run(const struct cmd_call *call)
{
	const struct config *config = call->config;
	struct checker checker = {.call = call, .json = BUF_INIT};
	const struct remote_options options = {
	    .setup = {.mem_bytes = config->memory_limit,
		.cpu_ms = config->cpu_limit_ms,
		.slow_ms = config->cpu_limit_ms,
		.handler_ms = DEADLINE_MS},
	    .deadline_ms = DEADLINE_MS,
	    .secret = stand_in,
	    .unsafe = cmd_is_unsafe,
	    .cookie = &checker.unsafe,
	};
	struct source *source;
	struct err err = ERR_INIT;
	struct stat st;
	int status, one;
	size_t i;

	one = stat(config->scripts, &st) == 0 && S_ISREG(st.st_mode);
	if ((one ? source_one(config->scripts, &source, &err)
		 : source_scan(config->scripts, &source, &err)) == -1)
		return cmd_fail(CMD_UNREACHABLE, &err);
	cmd_unsafe_find(config, config->scripts, &checker.unsafe);
	checker.remote = remote_open(&options);
	status = cmd_open_catalog(config, &checker.catalog);
	if (status == CMD_GOOD)
		status = check_all(&checker, source, config->scripts);

	catalog_free(checker.catalog);
	remote_close(checker.remote);
	source_unref(source);
	for (i = 0; i < checker.nproblems; i++) {
		free((char *)(uintptr_t)checker.problems[i].file);
		free((char *)(uintptr_t)checker.problems[i].message);
	}
	free(checker.problems);
	ui_scripts_clear(&checker.components);
	buf_free(&checker.json);
	return status;
}

const struct cmd_entry cmd_check = {
    .name = "check",
    .usage = "[DIR|FILE] [options]",
    .help = "load the scripts without a host, and say what is wrong with them",
    .about =
	"Load every script of a folder (default: the scripts folder), or one "
	"script, in a worker process without network and under the limits of a "
	"host, and look for names of handlers that nothing calls, for "
	"globals and functions that nothing defines, for fields of events that "
	"no payload has, and for text that they are never equal to.\n\n"
	"Exit status: 0 all is good, 1 something is wrong, 2 wrong usage, 3 "
	"there is no such folder.",
    .examples = "moonpost check\n"
		"moonpost check scripts/on_issue.lua --json",
    .options = OPTION_FOR_CHECK,
    .max_args = 1,
    .arg_is_scripts = 1,
    .run = run,
};
