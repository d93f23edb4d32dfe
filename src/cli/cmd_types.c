/*
 * moonpost types: definitions for lua-language-server.
 */

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "json/jwrite.h"

#include "catalog/catalog.h"
#include "config/config.h"
#include "config/option.h"

#include "cli/cmd.h"
#include "cli/embedded.h"
#include "cli/types_payloads.h"

#define PAYLOADS "payloads.d.lua"

/* A file of definitions. */
struct types_file {
	const char *name;
	struct str text;
};

/* All of them, those of the payloads last. */
struct types_files {
	struct types_file *list;
	size_t n;
	struct buf payloads;
};

static void
collect(const struct catalog *catalog, struct types_files *files)
{
	const struct embedded_file *e;
	size_t n = 0;

	for (e = embedded_lua_meta; e->name != NULL; e++)
		n++;
	files->list = mem_array(n + 1, sizeof(*files->list));
	for (e = embedded_lua_meta; e->name != NULL; e++)
		files->list[files->n++] = (struct types_file){
		    e->name, {(const char *)e->text, *e->len}};
	types_put_payloads(catalog, &files->payloads);
	files->list[files->n++] = (struct types_file){
	    PAYLOADS, {buf_text(&files->payloads), files->payloads.len}};
}

/* Write them into a folder, which is made if it is not there. */
static int
write_files(const struct types_files *files, const char *dir, struct err *err)
{
	char *path;
	size_t i;
	int rc;

	rc = file_make_dir(dir, 0755, err);
	for (i = 0; rc == 0 && i < files->n; i++) {
		path = mem_printf("%s/%s", dir, files->list[i].name);
		rc = file_replace(path, files->list[i].text.data,
		    files->list[i].text.len, 0644, err);
		free(path);
	}
	return rc;
}

static void
print_json(const struct types_files *files, const char *dir)
{
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 2);
	size_t i;

	jwrite_object(&w);
	jwrite_member_text(&w, "folder", dir);
	jwrite_key(&w, "files");
	jwrite_array(&w);
	for (i = 0; i < files->n; i++) {
		jwrite_object(&w);
		jwrite_member_text(&w, "name", files->list[i].name);
		jwrite_member_int(
		    &w, "bytes", (int64_t)files->list[i].text.len);
		/* Who gets no files gets what would be in them. */
		if (dir == NULL) {
			jwrite_key(&w, "text");
			jwrite_str(&w, files->list[i].text);
		}
		jwrite_object_end(&w);
	}
	jwrite_array_end(&w);
	jwrite_object_end(&w);
	buf_putc(&out, '\n');
	cmd_flush(stdout, &out);
}

/* Where they are, and what an editor has to be told. */
static void
print_written(const struct types_files *files, const char *dir)
{
	struct buf out = BUF_INIT;
	char *whole = realpath(dir, NULL);

	buf_printf(&out,
	    "%zu files in %s\n\nFor lua-language-server, put into .luarc.json "
	    "beside your scripts:\n\n  {\"runtime.version\": \"Lua 5.4\", "
	    "\"workspace.library\": [",
	    files->n, dir);
	str_put_json(&out, str_of(whole == NULL ? dir : whole));
	buf_puts(&out, "]}\n");
	cmd_flush(stdout, &out);
	free(whole);
}

static void
print_text(const struct types_files *files)
{
	struct buf out = BUF_INIT;
	size_t i;

	for (i = 0; i < files->n; i++) {
		if (i > 0)
			buf_putc(&out, '\n');
		buf_put(
		    &out, files->list[i].text.data, files->list[i].text.len);
	}
	cmd_flush(stdout, &out);
}

static int
run(const struct cmd_call *call)
{
	const char *dir = call->config->out;
	struct types_files files = {.payloads = BUF_INIT};
	struct err err = ERR_INIT;
	struct catalog *catalog;
	int status = cmd_open_catalog(call->config, &catalog);

	if (status != CMD_GOOD)
		return status;
	collect(catalog, &files);
	if (dir != NULL && write_files(&files, dir, &err) == -1)
		status = cmd_fail(CMD_UNREACHABLE, &err);
	else if (call->config->json)
		print_json(&files, dir);
	else if (dir != NULL)
		print_written(&files, dir);
	else
		print_text(&files);
	free(files.list);
	buf_free(&files.payloads);
	catalog_free(catalog);
	return status;
}

const struct cmd_entry cmd_types = {
    .name = "types",
    .usage = "[options]",
    .help = "write definitions for lua-language-server: modules and payloads",
    .about =
	"Print what an editor with lua-language-server wants to know: the "
	"functions of every module, what each resource's payload may hold, "
	"and which event a handler gets. With --out they are written into a "
	"folder, a file a module, and payloads.d.lua from the catalogue.\n\n"
	"Exit status: 0 done, 2 wrong usage, 3 it cannot be written.",
    .examples = "moonpost types --out types\n"
		"moonpost types --schema deploys.yml > types.lua",
    .options = OPTION_FOR_TYPES,
    .max_args = 0,
    .run = run,
};
