#include <stdio.h>
#include <string.h>

#include "base/buf.h"

#include "config/option.h"

#include "cli/cmd.h"

/*
 * The manual page and the reference of options, made from the tables, so that
 * neither can forget a command or an option.  `make docs` writes them into
 * docs/, and tests/static/check-options compares.
 */

static const char description[] =
    "receives the webhooks of Sentry's Integration Platform, proves that they "
    "are genuine, checks their shape, keeps them safe on disk before it "
    "answers, and runs the user's Lua handlers on them in worker "
    "processes.\n\n"
    "Options stand on the command line (--retry-max 5m or --retry-max=5m), "
    "in the environment (MOONPOST_RETRY_MAX=5m) and in moonpost.lua "
    "(retry_max = \"5m\"); a flag beats the environment, that beats the "
    "file. A switch is turned off by --no-NAME. In the environment commas "
    "separate the values of a list.\n\n"
    "A duration is a number with ms, s, m, h or d (without a unit, seconds), a "
    "size one with KiB, MiB, GiB, TiB (without a unit, bytes).";

static const char *const files[][2] = {
    {"moonpost.lua",
	"Configuration: a Lua file that returns a table of settings, beside "
	"the scripts folder or where --config says. The one beside the scripts "
	"folder is read only if it belongs to the user who runs moonpost and "
	"nobody else can write to it. env \"NAME\" is a variable of the "
	"environment. integrations = { NAME = { client_id = ..., client_secret "
	"= ..., sentry_url = ..., scripts = ... } } adds integrations, which "
	"are served under /i/NAME/."},
    {"scripts/*.lua",
	"Handler scripts; scripts/lib/NAME.lua is what they share by require "
	"\"NAME\"."},
    {"data/",
	"Data folder: the store; console-token, which the commands that ask a "
	"running host show it, and console-address, where it is; dev-secret, "
	"the client secret that serve --dev made."},
};

static const char *const statuses[][2] = {
    {"0", "All is well."},
    {"1", "What was checked is bad: a script, a file, an answer that is not "
	  "2xx."},
    {"2", "Wrong usage or configuration."},
    {"3",
	"Something cannot be reached or opened: nobody listens, no such file, "
	"a port in use."},
};

/* Text for troff: no escape, no dash that becomes a hyphen, no request. */
static void
put_troff(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			buf_puts(out, "\\e");
		else if (*text == '-')
			buf_puts(out, "\\-");
		else if (text[0] == '\n' && text[1] == '\n')
			buf_puts(out, "\n.PP");
		else
			buf_putc(out, *text);
	}
}

static void
put_man_lines(struct buf *out, const char *lines)
{
	buf_puts(out, ".PP\n.nf\n.RS\n");
	put_troff(out, lines);
	buf_puts(out, "\n.RE\n.fi\n");
}

/* What values it takes and has: "Default 1h; 1ms to 30d." */
static void
put_values(struct buf *out, const struct option *option)
{
	struct buf range = BUF_INIT;
	const char *text = option->preset_note;

	if (text == NULL && option->metavar != NULL)
		text = option->preset;
	if (option->type == OPTION_DURATION) {
		str_put_duration(&range, option->min);
		buf_puts(&range, " to ");
		str_put_duration(&range, option->max);
	} else if (option->type == OPTION_SIZE) {
		str_put_size(&range, option->min);
		buf_puts(&range, " to ");
		str_put_size(&range, option->max);
	} else if (option->type == OPTION_COUNT) {
		buf_printf(&range, "%llu to %llu %s",
		    (unsigned long long)option->min,
		    (unsigned long long)option->max, option->unit);
	}
	if ((option->flags & OPTION_OR_OFF) != 0)
		buf_puts(&range, ", or off");

	if (text != NULL)
		buf_printf(out, "default %s", text);
	if (range.len > 0)
		buf_printf(
		    out, "%s%s", text != NULL ? "; " : "", buf_text(&range));
	buf_free(&range);
}

static void
put_commands(struct buf *out, const struct option *option, const char *mark)
{
	const char *comma = "";
	size_t i;

	if (option->commands == OPTION_FOR_ALL) {
		buf_puts(out, "all");
		return;
	}
	for (i = 0; cmd_table[i] != NULL; i++) {
		if (cmd_table[i]->help == NULL ||
		    (option->commands & cmd_table[i]->options) == 0)
			continue;
		buf_printf(
		    out, "%s%s%s%s", comma, mark, cmd_table[i]->name, mark);
		comma = ", ";
	}
}

static void
man_commands(struct buf *out)
{
	const struct cmd_entry *entry;
	size_t i;

	for (i = 0; cmd_table[i] != NULL; i++) {
		entry = cmd_table[i];
		if (entry->help == NULL)
			continue;
		buf_printf(out, ".SS \"%s ", entry->name);
		put_troff(out, entry->usage);
		buf_puts(out, "\"\n");
		put_troff(out, entry->about);
		buf_putc(out, '\n');
		if (entry->examples != NULL)
			put_man_lines(out, entry->examples);
	}
}

static void
man_option(struct buf *out, const struct option *option)
{
	struct buf text = BUF_INIT;
	char env[OPTION_NAME_SIZE], key[OPTION_NAME_SIZE];

	buf_puts(out, ".TP\n.B ");
	(void)option_env(option, env);
	(void)option_key(option, key);
	if ((option->flags & OPTION_NO_FLAG) == 0) {
		if (option->letter != 0)
			buf_printf(out, "\\-%c, ", option->letter);
		buf_puts(out, "\\-\\-");
		put_troff(out, option->name);
		if (option->metavar != NULL) {
			buf_puts(out, " \\fI");
			put_troff(out, option->metavar);
			buf_puts(out, "\\fR");
		}
	} else {
		buf_puts(out, env);
	}
	buf_putc(out, '\n');

	buf_printf(&text, "%s", option->help);
	text.data[0] = (char)(text.data[0] >= 'a' && text.data[0] <= 'z'
				  ? text.data[0] - 'a' + 'A'
				  : text.data[0]);
	buf_puts(&text, " (");
	put_values(&text, option);
	if (text.data[text.len - 1] != '(')
		buf_puts(&text, "; ");
	buf_puts(&text, "commands: ");
	put_commands(&text, option, "");
	if (env[0] == '\0')
		buf_puts(&text, "; command line only");
	else if (key[0] == '\0')
		buf_puts(&text, "; not in moonpost.lua");
	else if ((option->flags & OPTION_NO_FLAG) != 0)
		buf_printf(&text, "; in moonpost.lua: %s", key);
	buf_puts(&text, ").");
	put_troff(out, buf_text(&text));
	buf_putc(out, '\n');
	buf_free(&text);
}

static void
man_pairs(
    struct buf *out, const char *title, const char *const (*pairs)[2], size_t n)
{
	size_t i;

	buf_printf(out, ".SH \"%s\"\n", title);
	for (i = 0; i < n; i++) {
		buf_puts(out, ".TP\n.B ");
		put_troff(out, pairs[i][0]);
		buf_putc(out, '\n');
		put_troff(out, pairs[i][1]);
		buf_putc(out, '\n');
	}
}

static void
put_man(struct buf *out)
{
	size_t i;

	buf_puts(out, ".\\\" Made from the tables of commands and options by "
		      "`make docs`; do not edit.\n"
		      ".TH MOONPOST 1 \"\" \"moonpost " MOONPOST_VERSION
		      "\" \"User Commands\"\n"
		      ".SH NAME\n"
		      "moonpost \\- run Lua handlers on Sentry's webhooks\n"
		      ".SH SYNOPSIS\n"
		      ".B moonpost\n.I command\n[\\fIoptions\\fR]\n.br\n"
		      ".B moonpost help\n[\\fIcommand\\fR]\n.br\n"
		      ".B moonpost \\-\\-version\n"
		      ".SH DESCRIPTION\n.B moonpost\n");
	put_troff(out, description);
	buf_puts(out, "\n.SH COMMANDS\n");
	man_commands(out);
	buf_puts(out, ".SH OPTIONS\n");
	for (i = 0; i < option_count; i++)
		man_option(out, &option_table[i]);
	man_pairs(out, "EXIT STATUS", statuses, NELEMS(statuses));
	buf_puts(out, ".SH ENVIRONMENT\n"
		      "Every option above that does not say otherwise is "
		      "MOONPOST_NAME in the environment, in capitals and with "
		      "underscores.\n"
		      ".TP\n.B NO_COLOR\n"
		      "If set and not empty, nothing is coloured.\n"
		      ".TP\n.B CLICOLOR_FORCE\n"
		      "If set and not 0, output is coloured even where it is "
		      "no terminal.\n");
	man_pairs(out, "FILES", files, NELEMS(files));
}

/* A cell of a table: a bar would end it. */
static void
put_cell(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '|')
			buf_putc(out, '\\');
		buf_putc(out, *text);
	}
}

static void
put_markdown_row(struct buf *out, const struct option *option)
{
	char env[OPTION_NAME_SIZE];

	if ((option->flags & OPTION_NO_FLAG) != 0)
		buf_printf(out, "| `%s` |", option_env(option, env));
	else
		buf_printf(out, "| `--%s` |", option->name);
	if (option->metavar != NULL) {
		buf_puts(out, " `");
		put_cell(out, option->metavar);
		buf_putc(out, '`');
	}
	buf_puts(out, " | ");
	put_cell(out, option->help);
	buf_puts(out, " | ");
	put_values(out, option);
	buf_puts(out, " | ");
	put_commands(out, option, "`");
	buf_puts(out,
	    (option->flags & OPTION_RELOADABLE) != 0 ? " | yes |\n" : " | |\n");
}

static void
put_markdown(struct buf *out)
{
	static const char head[] =
	    "| option | value | what | default and range | commands | reload "
	    "|\n|---|---|---|---|---|---|\n";
	size_t i;

	buf_puts(out,
	    "<!-- Made from the table of options by `make docs`; do not edit. "
	    "-->\n"
	    "# Options\n\n"
	    "An option stands on the command line (`--retry-max 5m` or "
	    "`--retry-max=5m`), in the environment\n"
	    "(`MOONPOST_RETRY_MAX=5m`) and in `moonpost.lua` (`retry_max = "
	    "\"5m\"`); a flag beats the environment, that beats the\n"
	    "file. A switch is turned off by `--no-NAME`. In the environment "
	    "commas separate the values of a list.\n\n"
	    "Durations: `500ms`, `2s`, `10m`, `1h`, `7d`, or seconds. Sizes: "
	    "`64KiB`, `1MiB`, `8GiB`, or bytes. *reload*: SIGHUP\n"
	    "takes the new value; the others need a restart.\n\n"
	    "## Settings\n\n");
	buf_puts(out, head);
	for (i = 0; i < option_count; i++) {
		if ((option_table[i].flags & OPTION_ONCE) != OPTION_ONCE)
			put_markdown_row(out, &option_table[i]);
	}
	buf_puts(out,
	    "\nThose without `--` are no flags, as every user of the machine "
	    "can read a command line; in `moonpost.lua` they are\n"
	    "`client_id`, `client_secret` (a string or a list, the newest "
	    "first) and `sentry_url`.\n\n"
	    "## On the command line only\n\n");
	buf_puts(out, head);
	for (i = 0; i < option_count; i++) {
		if ((option_table[i].flags & OPTION_ONCE) == OPTION_ONCE)
			put_markdown_row(out, &option_table[i]);
	}
	buf_puts(out,
	    "\n## moonpost.lua\n\n"
	    "```lua\n"
	    "return {\n"
	    "  listen = \"0.0.0.0:8080\",\n"
	    "  client_secret = { env \"SENTRY_SECRET_NEW\", env "
	    "\"SENTRY_SECRET_OLD\" },\n"
	    "  retry_max = \"30m\",\n"
	    "  keep_unhandled = false,\n"
	    "  integrations = {\n"
	    "    acme = { client_secret = env \"ACME_SECRET\", scripts = "
	    "\"acme/scripts\" }, -- served under /i/acme/\n"
	    "  },\n"
	    "}\n"
	    "```\n\n"
	    "It is the file that `--config` names, or the one beside the "
	    "scripts folder if it belongs to the user who runs moonpost\n"
	    "and nobody else can write to it.\n");
}

static int
run(const struct cmd_call *call)
{
	struct buf out = BUF_INIT;
	const char *what = call->nargs > 0 ? call->args[0] : "";

	if (strcmp(what, "man") == 0)
		put_man(&out);
	else if (strcmp(what, "options") == 0)
		put_markdown(&out);
	else
		return cmd_misuse(call, "which one: man or options?");
	cmd_flush(stdout, &out);
	return CMD_GOOD;
}

const struct cmd_entry cmd_manual = {
    .name = "manual",
    .usage = "man|options",
    .about = "Print the manual page or the reference of options.",
    .options = OPTION_FOR_HELP,
    .max_args = 1,
    .run = run,
};
