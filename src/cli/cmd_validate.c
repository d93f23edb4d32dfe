#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "catalog/catalog.h"
#include "config/config.h"
#include "config/option.h"
#include "schema/schema.h"

#include "cli/cmd.h"

/* Longer files are nothing that was ever sent. */
#define MAX_FILE ((size_t)64 << 20)

/* What to check against: a resource of the catalogue, or a schema. */
struct checker {
	struct catalog *catalog;
	const struct catalog_resource *resource;
	struct schema *schema;
};

/* What is wrong with one file; NULL texts where it does not apply. */
struct verdict {
	int status;
	const char *error;
	const char *pointer;
	const char *message;
	size_t offset; /* Of a JSON error. */
	size_t line;   /* The same, from 1; 0 if it is none. */
	struct catalog_violation violation;
	struct err err;
};

static size_t
line_at(const struct buf *text, size_t offset)
{
	size_t line = 1, i;

	for (i = 0; i < offset && i < text->len; i++)
		line += text->data[i] == '\n';
	return line;
}

static int
open_schema(const char *path, struct schema **ret_schema)
{
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	struct jdoc doc = {0};
	int status = CMD_UNREACHABLE;
	size_t offset;

	if (file_read(path, MAX_FILE, &text, &err) == -1)
		goto out;
	status = CMD_USAGE;
	if (jdoc_parse(&doc, buf_text(&text), text.len, &offset, &err) == -1) {
		(void)err_prefix(&err, "%s: not JSON: line %zu, byte %zu", path,
		    line_at(&text, offset), offset);
		goto out;
	}
	if (schema_compile(
		jdoc_root(&doc), jdoc_root(&doc), ret_schema, &err) == -1) {
		(void)err_prefix(&err, "%s", path);
		goto out;
	}
	status = CMD_GOOD;

out:
	jdoc_free(&doc);
	buf_free(&text);
	return status == CMD_GOOD ? status : cmd_fail(status, &err);
}

static int
open_resource(const struct config *config, struct checker *checker)
{
	int status = cmd_open_catalog(config, &checker->catalog);

	if (status != CMD_GOOD)
		return status;
	checker->resource =
	    catalog_find(checker->catalog, str_of(config->resource));
	if (checker->resource == NULL)
		return cmd_unknown_resource(checker->catalog, config->resource);
	return CMD_GOOD;
}

static void
check_file(const struct checker *checker, const char *path, struct jdoc *doc,
    struct buf *text, struct verdict *ret)
{
	struct schema_violation violation;

	*ret = (struct verdict){.status = CMD_GOOD};
	buf_reset(text);
	if (file_read(path, MAX_FILE, text, &ret->err) == -1) {
		ret->status = CMD_UNREACHABLE;
		ret->error = err_code_name(ret->err.code);
		ret->message = ret->err.msg;
		return;
	}
	if (jdoc_parse(doc, buf_text(text), text->len, &ret->offset,
		&ret->err) == -1) {
		ret->status = CMD_BAD;
		ret->error = "invalid_json";
		ret->message = ret->err.msg;
		ret->line = line_at(text, ret->offset);
		return;
	}
	if (checker->schema == NULL) {
		if (catalog_check(checker->catalog, checker->resource, doc,
			&ret->violation) == 0)
			return;
	} else {
		if (schema_check(checker->schema, jdoc_root(doc), &violation) ==
		    0)
			return;
		(void)memcpy(ret->violation.pointer, violation.pointer,
		    sizeof(ret->violation.pointer));
		(void)memcpy(ret->violation.message, violation.message,
		    sizeof(ret->violation.message));
	}
	ret->status = CMD_BAD;
	ret->error = "schema_violation";
	ret->pointer = ret->violation.pointer;
	ret->message = ret->violation.message;
}

/* "FILE: /data/issue/level: must be ..." */
static void
print_line(const char *path, const struct verdict *verdict)
{
	int colour = cmd_colour(stdout);
	FILE *out = verdict->status == CMD_UNREACHABLE ? stderr : stdout;
	struct buf line = BUF_INIT;

	if (verdict->status == CMD_UNREACHABLE) {
		(void)cmd_fail(CMD_UNREACHABLE, &verdict->err);
		return;
	}
	cmd_put_visible(out, str_of(path));
	(void)fputs(": ", out);
	if (verdict->status == CMD_GOOD) {
		cmd_styled(out, colour, CMD_GREEN, "valid");
		(void)fputc('\n', out);
		return;
	}
	if (verdict->line > 0)
		buf_printf(&line, "line %zu, byte %zu", verdict->line,
		    verdict->offset);
	else
		buf_puts(&line,
		    verdict->pointer[0] == '\0' ? "(root)" : verdict->pointer);
	cmd_styled(out, colour, CMD_RED, buf_text(&line));
	buf_reset(&line);
	buf_printf(&line, ": %s", verdict->message);
	cmd_put_visible(out, str_of(buf_text(&line)));
	(void)fputc('\n', out);
	buf_free(&line);
}

static void
put_json(struct jwrite *w, const char *path, const struct verdict *verdict)
{
	jwrite_object(w);
	jwrite_member_text(w, "file", path);
	jwrite_key(w, "valid");
	jwrite_bool(w, verdict->status == CMD_GOOD);
	if (verdict->status != CMD_GOOD) {
		jwrite_member_text(w, "error", verdict->error);
		if (verdict->pointer != NULL)
			jwrite_member_text(w, "pointer", verdict->pointer);
		if (verdict->line > 0) {
			jwrite_member_int(
			    w, "offset", (int64_t)verdict->offset);
			jwrite_member_int(w, "line", (int64_t)verdict->line);
		}
		jwrite_member_text(w, "message", verdict->message);
	}
	jwrite_object_end(w);
}

static int
check_files(const struct cmd_call *call, const struct checker *checker)
{
	struct buf text = BUF_INIT, out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 2);
	struct verdict verdict;
	struct jdoc doc = {0};
	int status = CMD_GOOD;
	size_t i;

	jwrite_array(&w);
	for (i = 0; i < call->nargs; i++) {
		check_file(checker, call->args[i], &doc, &text, &verdict);
		if (verdict.status > status)
			status = verdict.status;
		if (call->config->json)
			put_json(&w, call->args[i], &verdict);
		else
			print_line(call->args[i], &verdict);
	}
	jwrite_array_end(&w);
	buf_putc(&out, '\n');
	if (call->config->json)
		cmd_flush(stdout, &out);

	buf_free(&out);
	buf_free(&text);
	jdoc_free(&doc);
	return status;
}

static int
run(const struct cmd_call *call)
{
	struct checker checker = {NULL, NULL, NULL};
	int status;

	if ((call->config->resource == NULL) == (call->config->schema == NULL))
		return cmd_misuse(
		    call, "give either --resource NAME or --schema FILE");
	if (call->nargs == 0)
		return cmd_misuse(
		    call, "give the files to check, or - for standard input");

	if (call->config->schema != NULL)
		status = open_schema(call->config->schema, &checker.schema);
	else
		status = open_resource(call->config, &checker);
	if (status == CMD_GOOD)
		status = check_files(call, &checker);
	schema_free(checker.schema);
	catalog_free(checker.catalog);
	return status;
}

const struct cmd_entry cmd_validate = {
    .name = "validate",
    .usage = "(--resource NAME | --schema FILE) FILE...",
    .help = "check JSON files against a resource's schema, or any",
    .about =
	"Check JSON files as the host checks a delivery of a resource, or "
	"against a JSON Schema (draft-07) of your own. Each file gets a line "
	"that says whether it is valid, or where it is not and why.\n\n"
	"Exit status: 0 all are valid, 1 one is not, 2 wrong usage or a schema "
	"that is none, 3 a file cannot be read.",
    .examples = "moonpost validate --resource issue delivery.json\n"
		"moonpost validate --schema widget.json - < widget",
    .options = OPTION_FOR_VALIDATE,
    .max_args = SIZE_MAX,
    .run = run,
};
