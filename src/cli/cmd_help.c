#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#include "config/config.h"
#include "config/option.h"

#include "cli/cmd.h"

/* Where the right-hand column begins. */
#define COMMAND_COLUMN 14
#define OPTION_COLUMN 27

static void
show_commands(FILE *out)
{
	int colour = cmd_colour(out);
	size_t i;

	(void)fputs("usage: moonpost COMMAND [options]\n\n"
		    "Receives Sentry's webhooks, keeps them safe, and runs Lua "
		    "handlers on them.\n\n",
	    out);
	cmd_styled(out, colour, CMD_BOLD, "commands");
	(void)fputc('\n', out);
	for (i = 0; cmd_table[i] != NULL; i++) {
		if (cmd_table[i]->help == NULL)
			continue;
		(void)fprintf(
		    out, "  %-*s", COMMAND_COLUMN - 2, cmd_table[i]->name);
		cmd_wrap(
		    out, cmd_table[i]->help, COMMAND_COLUMN, COMMAND_COLUMN);
	}
	(void)fputs("\n'moonpost help COMMAND' tells all about one; 'moonpost "
		    "--version' which this is\n",
	    out);
}

/* "--retry-max TIME   longest wait between two attempts (default 1h)" */
static void
show_option(FILE *out, const struct option *option, const char *name)
{
	struct buf text = BUF_INIT;
	size_t column = 2;

	if (option->letter != 0 && name[0] == '-')
		column += (size_t)fprintf(out, "  -%c, ", option->letter) - 2;
	else
		(void)fputs("  ", out);
	column += (size_t)fprintf(out, "%s", name);
	if (option->metavar != NULL && name[0] == '-')
		column += (size_t)fprintf(out, " %s", option->metavar);
	if (column + 2 > OPTION_COLUMN) {
		(void)fputc('\n', out);
		column = 0;
	}
	(void)fprintf(out, "%*s", (int)(OPTION_COLUMN - column), "");

	buf_puts(&text, option->help);
	if (option->preset_note != NULL)
		buf_printf(&text, " (default: %s)", option->preset_note);
	else if (option->preset != NULL && option->metavar != NULL)
		buf_printf(&text, " (default %s)", option->preset);
	cmd_wrap(out, buf_text(&text), OPTION_COLUMN, OPTION_COLUMN);
	buf_free(&text);
}

static void
show_options(FILE *out, const struct cmd_entry *entry, int colour)
{
	char env[OPTION_NAME_SIZE], *name;
	int settings = 0, hidden = 0;
	size_t i;

	(void)fputc('\n', out);
	cmd_styled(out, colour, CMD_BOLD, "options");
	(void)fputc('\n', out);
	for (i = 0; i < option_count; i++) {
		if (!option_is_flag(&option_table[i], entry->options))
			continue;
		name = mem_printf("--%s", option_table[i].name);
		show_option(out, &option_table[i], name);
		free(name);
		settings += (option_table[i].flags & OPTION_NO_FILE) == 0;
	}

	/* What must not stand on a command line. */
	for (i = 0; i < option_count; i++) {
		if ((option_table[i].commands & entry->options) == 0 ||
		    (option_table[i].flags & OPTION_NO_FLAG) == 0)
			continue;
		if (hidden++ == 0) {
			(void)fputc('\n', out);
			cmd_styled(out, colour, CMD_BOLD, "environment");
			(void)fputc('\n', out);
		}
		show_option(
		    out, &option_table[i], option_env(&option_table[i], env));
	}
	if (settings > 0) {
		(void)fputc('\n', out);
		cmd_wrap(out,
		    "Settings stand in the environment (MOONPOST_NAME) and in "
		    "moonpost.lua (name = value) as well, with underscores for "
		    "dashes. A flag beats the environment, that beats the "
		    "file.",
		    0, 0);
	}
}

static void
show_command(FILE *out, const struct cmd_entry *entry)
{
	int colour = cmd_colour(out);
	const char *line = entry->examples;
	size_t len;

	(void)fprintf(
	    out, "usage: moonpost %s %s\n\n", entry->name, entry->usage);
	cmd_wrap(out, entry->about, 0, 0);
	show_options(out, entry, colour);
	if (line == NULL)
		return;
	(void)fputc('\n', out);
	cmd_styled(out, colour, CMD_BOLD, "examples");
	(void)fputc('\n', out);
	for (; *line != '\0'; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		(void)fprintf(out, "  %.*s\n", (int)len, line);
	}
}

void
cmd_help_show(const struct cmd_entry *entry)
{
	if (entry == &cmd_help)
		show_commands(stdout);
	else
		show_command(stdout, entry);
}

static int
run(const struct cmd_call *call)
{
	const struct cmd_entry *entry;

	if (call->nargs == 0) {
		show_commands(stdout);
		return CMD_GOOD;
	}
	entry = cmd_find(call->args[0]);
	if (entry == NULL)
		return cmd_unknown(call->args[0]);
	show_command(stdout, entry);
	return CMD_GOOD;
}

const struct cmd_entry cmd_help = {
    .name = "help",
    .usage = "[COMMAND]",
    .help = "tell what there is, or all about one command",
    .about = "List the commands, or tell what one does and which options it "
	     "takes.",
    .options = OPTION_FOR_HELP,
    .max_args = 1,
    .run = run,
};
