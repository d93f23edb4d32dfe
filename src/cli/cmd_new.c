#include <sys/stat.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include "catalog/catalog.h"
#include "config/config.h"
#include "config/option.h"

#include "cli/cmd.h"

#define NAME_MAX_LEN 100

extern const unsigned char embed_lua_new_handler_lua[],
    embed_lua_new_handler_test_lua[], embed_lua_new_alert_action_lua[],
    embed_lua_new_alert_action_test_lua[], embed_lua_new_moonpost_lua[],
    embed_lua_new_README_md[], embed_lua_new_gitignore[],
    embed_lua_new_luarc_json[];
extern const size_t embed_lua_new_handler_lua_len,
    embed_lua_new_handler_test_lua_len, embed_lua_new_alert_action_lua_len,
    embed_lua_new_alert_action_test_lua_len, embed_lua_new_moonpost_lua_len,
    embed_lua_new_README_md_len, embed_lua_new_gitignore_len,
    embed_lua_new_luarc_json_len;

/* What a template's @WORDS@ stand for; all borrowed. */
struct words {
	const char *name;
	const char *title;
	const char *handler;
	const char *resource;
	const char *action; /* "received" where there is none. */
	const char *event;  /* "issue.created" */
};

/* A file to be written. */
struct file {
	char *path;
	struct buf text;
};

struct maker {
	const struct cmd_call *call;
	struct words words;
	struct file files[16];
	size_t nfiles;
};

/* Append ${template} with its words filled in. */
static void
fill(struct buf *out, struct str template, const struct words *words)
{
	const struct {
		const char *word;
		const char *text;
	} known[] = {
	    {"@NAME@", words->name},
	    {"@TITLE@", words->title},
	    {"@HANDLER@", words->handler},
	    {"@RESOURCE@", words->resource},
	    {"@ACTION@", words->action},
	    {"@EVENT@", words->event},
	};
	const char *at = template.data, *end = at + template.len;
	size_t i, len;

	while (at < end) {
		for (i = 0; i < NELEMS(known); i++) {
			len = strlen(known[i].word);
			if ((size_t)(end - at) >= len &&
			    memcmp(at, known[i].word, len) == 0)
				break;
		}
		if (i < NELEMS(known)) {
			buf_puts(out, known[i].text);
			at += strlen(known[i].word);
		} else {
			buf_putc(out, *at++);
		}
	}
}

/* One more file, ${folder}/${name}${suffix}. */
static void
add(struct maker *maker, const char *folder, const char *name,
    const char *suffix, const char *text, size_t len)
{
	struct file *file = &maker->files[maker->nfiles++];

	file->path = mem_printf("%s/%s%s", folder, name, suffix);
	fill(&file->text, (struct str){text, len}, &maker->words);
}

#define ADD(maker, folder, name, suffix, template)                             \
	add(maker, folder, name, suffix,                                       \
	    (const char *)embed_lua_new_##template,                            \
	    embed_lua_new_##template##_len)

/* A script's name, which others can type, that is no test's. */
static int
check_name(const struct cmd_call *call, const char *name)
{
	static const char suffix[] = "_test";
	size_t i, len = strlen(name);

	for (i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) &&
		    (i == 0 || (name[i] != '_' && name[i] != '-')))
			break;
	}
	if (len == 0 || len > NAME_MAX_LEN || i < len)
		return cmd_misuse(call,
		    "'%.60s' is no name: letters, digits, _ and -, without "
		    ".lua",
		    name);
	if (len >= sizeof(suffix) - 1 &&
	    strcmp(name + len - (sizeof(suffix) - 1), suffix) == 0)
		return cmd_misuse(call,
		    "'%.60s' is the name of a test: the test is written beside "
		    "the script",
		    name);
	return CMD_GOOD;
}

/* The resource whose handlers include ${name}: the one that looks for it
 * first. */
static const struct catalog_resource *
resource_of_handler(const struct catalog *catalog, const char *name)
{
	const struct catalog_resource *r, *found = NULL;
	size_t i, k, best = 0;

	for (i = 0; i < catalog_count(catalog); i++) {
		r = catalog_at(catalog, i);
		for (k = 0; k < r->nhandlers; k++) {
			if (strcmp(r->handlers[k], name) == 0 &&
			    (found == NULL || k < best)) {
				found = r;
				best = k;
			}
		}
	}
	return found;
}

/* Whom the handler is for: --resource, or what its name says, or issues. */
static int
choose_resource(
    struct maker *maker, const struct catalog *catalog, char **event)
{
	const char *wanted = maker->call->config->resource;
	const struct catalog_resource *r;
	struct words *words = &maker->words;
	size_t i;

	r = wanted == NULL ? resource_of_handler(catalog, words->name)
			   : catalog_find(catalog, str_of(wanted));
	if (r == NULL && wanted != NULL)
		return cmd_unknown_resource(catalog, wanted);
	words->handler = words->name;
	if (r == NULL || wanted != NULL) {
		if (r == NULL)
			r = catalog_find(catalog, STR("issue"));
		words->handler = r->handlers[0];
	}
	words->resource = r->name;
	words->action = r->nactions > 0 ? r->actions[0] : "received";
	for (i = 0; i < r->nactions; i++) {
		if (strcmp(r->actions[i], "created") == 0)
			words->action = r->actions[i];
	}
	*event = r->nactions > 0 ? mem_printf("%s.%s", r->name, words->action)
				 : mem_strdup(r->name);
	words->event = *event;
	return CMD_GOOD;
}

/* "page-oncall" as people read it. */
static char *
title_of(const char *name)
{
	char *title = mem_strdup(name), *c;

	for (c = title; *c != '\0'; c++) {
		if (*c == '_' || *c == '-')
			*c = ' ';
	}
	title[0] = (char)toupper((unsigned char)title[0]);
	return title;
}

/* Write all, or, if one of them is there already, none. */
static int
write_all(const struct maker *maker)
{
	struct err err = ERR_INIT;
	struct stat st;
	const char *slash;
	char *dir;
	size_t i;
	int rc;

	for (i = 0; i < maker->nfiles; i++) {
		if (lstat(maker->files[i].path, &st) == 0) {
			(void)err_set(&err, ERR_INVALID,
			    "%s is there already, and nothing was written",
			    maker->files[i].path);
			return cmd_fail(CMD_USAGE, &err);
		}
	}
	for (i = 0; i < maker->nfiles; i++) {
		slash = strrchr(maker->files[i].path, '/');
		dir = mem_strndup(maker->files[i].path,
		    (size_t)(slash - maker->files[i].path));
		rc = file_make_dir(dir, 0755, &err);
		free(dir);
		if (rc == -1 || file_create(maker->files[i].path,
				    buf_text(&maker->files[i].text),
				    maker->files[i].text.len, 0644, &err) == -1)
			return cmd_fail(CMD_UNREACHABLE, &err);
		(void)printf("%s\n", maker->files[i].path);
	}
	return CMD_GOOD;
}

/* What to do next. */
static void
say_next(const struct maker *maker, const char *kind, const char *folder)
{
	const struct words *words = &maker->words;

	(void)printf("\nNext:\n");
	if (strcmp(kind, "project") == 0)
		(void)printf("  cd %s\n"
			     "  moonpost test\n"
			     "  moonpost serve --dev\n",
		    words->name);
	else if (strcmp(kind, "handler") == 0)
		(void)printf("  moonpost test %s/%s_test.lua\n"
			     "  moonpost send %s     (to a running host)\n",
		    folder, words->name, words->event);
	else
		(void)printf("  moonpost test %s/%s_test.lua\n"
			     "  moonpost preview --scripts %s %s\n",
		    folder, words->name, folder, words->name);
}

static int
make_project(struct maker *maker)
{
	const char *name = maker->words.name;
	struct err err = ERR_INIT;
	struct stat st;
	char *scripts;

	if (lstat(name, &st) == 0) {
		(void)err_set(&err, ERR_INVALID,
		    "%s is there already, and nothing was written", name);
		return cmd_fail(CMD_USAGE, &err);
	}
	ADD(maker, name, "README", ".md", README_md);
	ADD(maker, name, "moonpost", ".lua", moonpost_lua);
	ADD(maker, name, ".gitignore", "", gitignore);
	ADD(maker, name, ".luarc", ".json", luarc_json);
	scripts = mem_printf("%s/scripts", name);
	maker->words.name = "on_issue";
	ADD(maker, scripts, "on_issue", ".lua", handler_lua);
	ADD(maker, scripts, "on_issue_test", ".lua", handler_test_lua);
	maker->words.name = name;
	free(scripts);
	return CMD_GOOD;
}

static int
make(struct maker *maker, const char *kind)
{
	const char *folder = maker->call->config->scripts;
	const char *name = maker->words.name;
	int status;

	if (strcmp(kind, "project") == 0) {
		status = make_project(maker);
	} else if (strcmp(kind, "handler") == 0) {
		ADD(maker, folder, name, ".lua", handler_lua);
		ADD(maker, folder, name, "_test.lua", handler_test_lua);
		status = CMD_GOOD;
	} else {
		ADD(maker, folder, name, ".lua", alert_action_lua);
		ADD(maker, folder, name, "_test.lua", alert_action_test_lua);
		status = CMD_GOOD;
	}
	if (status == CMD_GOOD)
		status = write_all(maker);
	if (status == CMD_GOOD)
		say_next(maker, kind, folder);
	return status;
}

static int
check_kind(const struct cmd_call *call)
{
	static const char *const kinds[] = {
	    "handler", "alert-action", "project"};
	const char *meant;
	size_t i;

	if (call->nargs < 2)
		return cmd_misuse(call, "what is to be made, and its name?");
	for (i = 0; i < NELEMS(kinds); i++) {
		if (strcmp(call->args[0], kinds[i]) == 0)
			break;
	}
	if (i == NELEMS(kinds)) {
		meant = str_closest(call->args[0], kinds, NELEMS(kinds));
		return cmd_misuse(call,
		    "'%.60s' cannot be made: there are handler, alert-action "
		    "and project%s%s%s",
		    call->args[0], meant == NULL ? "" : "; did you mean '",
		    meant == NULL ? "" : meant, meant == NULL ? "" : "'?");
	}
	if (i > 0 && call->config->resource != NULL)
		return cmd_misuse(call, "--resource is for a handler");
	return CMD_GOOD;
}

static int
run(const struct cmd_call *call)
{
	struct maker maker = {.call = call};
	struct catalog *catalog = NULL;
	char *event = NULL, *title = NULL;
	int status;
	size_t i;

	if ((status = check_kind(call)) != CMD_GOOD ||
	    (status = check_name(call, call->args[1])) != CMD_GOOD ||
	    (status = cmd_open_catalog(call->config, &catalog)) != CMD_GOOD)
		return status;
	title = title_of(call->args[1]);
	maker.words.name = call->args[1];
	maker.words.title = title;
	status = choose_resource(&maker, catalog, &event);
	if (status == CMD_GOOD)
		status = make(&maker, call->args[0]);
	for (i = 0; i < maker.nfiles; i++) {
		free(maker.files[i].path);
		buf_free(&maker.files[i].text);
	}
	free(title);
	free(event);
	catalog_free(catalog);
	return status;
}

const struct cmd_entry cmd_new = {
    .name = "new",
    .usage = "handler|alert-action|project NAME [options]",
    .help = "write a script with a test beside it, or a project",
    .about =
	"Write a handler or a custom alert action, NAME.lua, into the scripts "
	"folder, and a test of it, NAME_test.lua; or a folder NAME with all "
	"that a project needs. A handler is for the resource that its name "
	"says (on_comment), that --resource names, or issues. Nothing is ever "
	"overwritten.\n\n"
	"Exit status: 0 written, 2 wrong usage, or it is there already, 3 it "
	"cannot be written.",
    .examples = "moonpost new handler on_comment\n"
		"moonpost new handler jira --resource issue\n"
		"moonpost new alert-action page-oncall\n"
		"moonpost new project my-integration",
    .options = OPTION_FOR_NEW,
    .max_args = 2,
    .run = run,
};
