#include <sys/stat.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "app/settings.h"
#include "catalog/catalog.h"
#include "config/config.h"
#include "config/option.h"

#include "cli/cmd.h"

const struct cmd_entry *const cmd_table[] = {
    &cmd_serve,
    &cmd_send,
    &cmd_check,
    &cmd_test,
    &cmd_validate,
    &cmd_new,
    &cmd_channels,
    &cmd_types,
    &cmd_ui_schema,
    &cmd_preview,
    &cmd_deliveries,
    &cmd_show,
    &cmd_replay,
    &cmd_tail,
    &cmd_scripts,
    &cmd_pause,
    &cmd_resume,
    &cmd_discard,
    &cmd_sim,
    &cmd_login,
    &cmd_token,
    &cmd_logout,
    &cmd_help,
    &cmd_manual,
    NULL,
};

const struct cmd_entry *
cmd_find(const char *name)
{
	size_t i;

	for (i = 0; cmd_table[i] != NULL; i++) {
		if (strcmp(cmd_table[i]->name, name) == 0)
			return cmd_table[i];
	}
	return NULL;
}

int
cmd_unknown(const char *name)
{
	const char *names[NELEMS(cmd_table)], *meant;
	struct err err = ERR_INIT;
	size_t n = 0, i;

	for (i = 0; cmd_table[i] != NULL; i++) {
		if (cmd_table[i]->help != NULL)
			names[n++] = cmd_table[i]->name;
	}
	meant = str_closest(name, names, n);
	(void)err_set(&err, ERR_INVALID,
	    "unknown command '%.60s'%s%s%s ('moonpost help' lists them)", name,
	    meant == NULL ? "" : "; did you mean '", meant == NULL ? "" : meant,
	    meant == NULL ? "" : "'?");
	return cmd_fail(CMD_USAGE, &err);
}

int
cmd_fail(int status, const struct err *err)
{
	(void)fflush(stdout);
	(void)fputs("moonpost: ", stderr);
	cmd_put_visible(stderr, str_of(err->msg));
	(void)fputc('\n', stderr);
	return status;
}

int
cmd_misuse(const struct cmd_call *call, const char *fmt, ...)
{
	struct err err = ERR_INIT;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err.msg, sizeof(err.msg), fmt, ap);
	va_end(ap);
	(void)cmd_fail(CMD_USAGE, &err);
	(void)fprintf(stderr, "usage: moonpost %s %s\n", call->entry->name,
	    call->entry->usage);
	return CMD_USAGE;
}

int
cmd_open_catalog(const struct config *config, struct catalog **ret_catalog)
{
	struct err err = ERR_INIT;

	if (catalog_open((const char *const *)config->schemas.items,
		config->schemas.n, ret_catalog, &err) == 0)
		return CMD_GOOD;
	return cmd_fail(
	    err.code == ERR_NOT_FOUND ? CMD_UNREACHABLE : CMD_USAGE, &err);
}

int
cmd_unknown_resource(const struct catalog *catalog, const char *name)
{
	size_t n = catalog_count(catalog), i;
	const char **names = mem_array(n, sizeof(*names)), *meant;
	struct err err = ERR_INIT;

	for (i = 0; i < n; i++)
		names[i] = catalog_at(catalog, i)->name;
	meant = str_closest(name, names, n);
	(void)err_set(&err, ERR_INVALID,
	    "unknown resource '%.60s'%s%s%s ('moonpost channels' lists them)",
	    name, meant == NULL ? "" : "; did you mean '",
	    meant == NULL ? "" : meant, meant == NULL ? "" : "'?");
	free(names);
	return cmd_fail(CMD_USAGE, &err);
}

/* Whether a variable of the environment is set to more than nothing or 0. */
static int
is_set(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' && strcmp(value, "0") != 0;
}

int
cmd_colour(FILE *out)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (no != NULL && no[0] != '\0')
		return 0;
	if (is_set("CLICOLOR_FORCE"))
		return 1;
	return isatty(fileno(out)) &&
	       (term == NULL || strcmp(term, "dumb") != 0);
}

void
cmd_styled(FILE *out, int colour, enum cmd_style style, const char *text)
{
	static const char *const codes[] = {"1", "32", "31"};

	if (colour)
		(void)fprintf(out, "\033[%sm", codes[style]);
	cmd_put_visible(out, str_of(text));
	if (colour)
		(void)fputs("\033[0m", out);
}

void
cmd_put_visible(FILE *out, struct str s)
{
	struct buf buf = BUF_INIT;

	str_put_visible(&buf, s);
	cmd_flush(out, &buf);
}

void
cmd_flush(FILE *out, struct buf *buf)
{
	(void)fwrite(buf_text(buf), 1, buf->len, out);
	buf_free(buf);
}

void
cmd_wrap(FILE *out, const char *text, size_t indent, size_t column)
{
	size_t len;

	for (;;) {
		/* An empty line stays one. */
		for (; *text == ' ' || *text == '\n'; text++) {
			if (text[0] == '\n' && text[1] == '\n') {
				(void)fputs("\n\n", out);
				column = 0;
			}
		}
		if (*text == '\0')
			break;
		len = strcspn(text, " \n");
		if (column > indent && column + 1 + len > 79) {
			(void)fputc('\n', out);
			column = 0;
		}
		if (column < indent)
			column += (size_t)fprintf(
			    out, "%*s", (int)(indent - column), "");
		else if (column > indent)
			column += (size_t)fprintf(out, " ");
		column += (size_t)fprintf(out, "%.*s", (int)len, text);
		text += len;
	}
	(void)fputc('\n', out);
}

void
cmd_unsafe_find(const struct config *config, const char *path,
    struct cmd_unsafe *ret_unsafe)
{
	struct stat at, other;
	const char *slash;
	char *folder = mem_strdup(path);
	size_t i;

	ret_unsafe->config = config;
	ret_unsafe->integration = config->integrations[0].name;
	if (stat(folder, &at) == 0 && !S_ISDIR(at.st_mode)) {
		slash = strrchr(folder, '/');
		folder[slash == NULL ? 0 : slash - folder] = '\0';
	}
	if (stat(folder[0] == '\0' ? "." : folder, &at) == 0) {
		for (i = 1; i < config->nintegrations; i++)
			if (stat(config->integrations[i].scripts, &other) ==
				0 &&
			    other.st_dev == at.st_dev &&
			    other.st_ino == at.st_ino)
				ret_unsafe->integration =
				    config->integrations[i].name;
	}
	free(folder);
}

int
cmd_is_unsafe(void *cookie, struct str script)
{
	const struct cmd_unsafe *unsafe = cookie;

	return config_is_unsafe(unsafe->config, unsafe->integration, script);
}

/* What stands in the environment and in the file, behind the flags. */
static int
read_sources(const struct cmd_entry *entry, struct config *config,
    const char *arg, struct err *err)
{
	struct err warning;

	/* Help must be had whatever is wrong elsewhere. */
	if (entry->options == OPTION_FOR_HELP)
		return config_finish(config, err);
	if (entry->arg_is_scripts && arg != NULL &&
	    config_set(config, option_find_key("scripts"), arg, CONFIG_FLAG,
		entry->name, err) == -1)
		return -1;
	if (config_set_env(config, environ, err) == -1 ||
	    settings_load(config, &warning, err) == -1)
		return -1;
	if (warning.code != ERR_NONE)
		(void)cmd_fail(CMD_GOOD, &warning);
	return 0;
}

/* Read the command line and run the command. */
static int
run_entry(const struct cmd_entry *entry, char *const *args)
{
	struct cmd_call call = {.entry = entry};
	struct err err = ERR_INIT;
	struct config *config = config_create();
	char **rest = NULL;
	int status = CMD_USAGE;

	if (config_set_args(
		config, entry->options, args, &rest, &call.nargs, &err) == -1) {
		(void)cmd_fail(CMD_USAGE, &err);
		(void)fprintf(stderr, "'moonpost help %s' lists the options\n",
		    entry->name);
		goto out;
	}
	if (strcmp(config_text(config, "help"), "on") == 0) {
		cmd_help_show(entry);
		status = CMD_GOOD;
		goto out;
	}
	if (call.nargs > entry->max_args) {
		call.args = rest;
		status = cmd_misuse(&call, "'%.60s' is one argument too many",
		    rest[entry->max_args]);
		goto out;
	}
	if (read_sources(entry, config, rest[0], &err) == -1) {
		status = cmd_fail(
		    err.code == ERR_NOT_FOUND || err.code == ERR_UNAVAILABLE
			? CMD_UNREACHABLE
			: CMD_USAGE,
		    &err);
		goto out;
	}
	call.config = config;
	call.args = rest;
	status = entry->run(&call);

out:
	free(rest);
	config_free(config);
	return status;
}

int
cmd_main(char *const *args)
{
	const struct cmd_entry *entry;

	if (args[0] == NULL) {
		(void)fputs("usage: moonpost COMMAND [options]\n"
			    "'moonpost help' lists the commands\n",
		    stderr);
		return CMD_USAGE;
	}
	if (strcmp(args[0], "--help") == 0 || strcmp(args[0], "-h") == 0)
		return run_entry(&cmd_help, args + 1);
	if (args[0][0] == '-')
		return cmd_unknown(args[0]);
	entry = cmd_find(args[0]);
	if (entry == NULL)
		return cmd_unknown(args[0]);
	return run_entry(entry, args + 1);
}
