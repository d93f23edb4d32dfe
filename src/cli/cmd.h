#ifndef CLI_CMD_H_
#define CLI_CMD_H_

/*
 * The commands: one file each (cmd_send.c), one line in the table in cmd.c.
 *
 * Floor: 7 (cli).  May include everything.
 */

#include <stddef.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/str.h"

struct buf;
struct catalog;
struct cmd_call;
struct config;
struct err;

/* Exit statuses, the same for every command. */
enum cmd_status {
	CMD_GOOD = 0,
	CMD_BAD = 1,         /* What was checked is bad. */
	CMD_USAGE = 2,       /* Wrong usage or configuration. */
	CMD_UNREACHABLE = 3, /* Cannot be reached or opened. */
};

struct cmd_entry {
	const char *name;
	const char *usage;    /* What follows the name: "[DIR] [options]" */
	const char *help;     /* One line, no capital and no full stop; NULL for
			       * what is of no use to users. */
	const char *about;    /* Paragraphs, separated by an empty line. */
	const char *examples; /* Command lines, one a line; NULL if none. */
	unsigned int options; /* enum option_command */
	size_t max_args;      /* Arguments that are no options. */
	int arg_is_scripts;   /* The first is the scripts folder. */

	/* Returns an enum cmd_status. */
	int (*run)(const struct cmd_call *call);
};

/* One call of a command, all borrowed. */
struct cmd_call {
	const struct cmd_entry *entry;
	const struct config *config;
	char *const *args; /* NULL at the end. */
	size_t nargs;
};

/* In the order of the help page, NULL at the end. */
extern const struct cmd_entry *const cmd_table[];

/* Each is at the end of its file. */
extern const struct cmd_entry cmd_channels, cmd_check, cmd_deliveries,
    cmd_discard, cmd_help, cmd_login, cmd_logout, cmd_manual, cmd_new,
    cmd_pause, cmd_preview, cmd_replay, cmd_resume, cmd_scripts, cmd_send,
    cmd_serve, cmd_show, cmd_sim, cmd_tail, cmd_test, cmd_token, cmd_types,
    cmd_ui_schema, cmd_validate;

/* What `help` prints about ${entry}; about itself, the list of commands. */
void cmd_help_show(const struct cmd_entry *entry);

/* The command of that name, or NULL. */
const struct cmd_entry *cmd_find(const char *name);

/* "unknown command", with the closest one; returns CMD_USAGE. */
int cmd_unknown(const char *name);

/**
 * cmd_main(args):
 * Run the command line ${args} (without the program's name, NULL at its end).
 *
 * Returns:   an enum cmd_status.
 */
int cmd_main(char *const *args);

/**
 * cmd_fail(status, err):
 * Tell on standard error what went wrong.
 *
 * Returns:   ${status}.
 */
int cmd_fail(int status, const struct err *err);

/**
 * cmd_misuse(call, fmt, ...):
 * Tell on standard error what is wrong with the command line, and where help
 * is.
 *
 * Returns:   CMD_USAGE.
 */
int cmd_misuse(const struct cmd_call *call, const char *fmt, ...)
    ATTR_PRINTF(2, 3);

/**
 * cmd_open_catalog(config, ret_catalog):
 * Open the catalogue with the documents that were added to it.
 *
 * Returns:   CMD_GOOD; or another status, and what is wrong was told.
 * Ownership: the caller frees with catalog_free().
 */
int cmd_open_catalog(
    const struct config *config, struct catalog **ret_catalog) ATTR_MUSTCHECK;

/* Which scripts of a folder --unsafe-stdlib names, for a command that loads
 * them without a host. */
struct cmd_unsafe {
	const struct config *config;
	const char *integration; /* Whose folder it is. */
};

/**
 * cmd_unsafe_find(config, path, ret_unsafe):
 * The folder, or the script in it, is ${path}.
 *
 * Ownership: ${ret_unsafe} keeps ${config}.
 */
void cmd_unsafe_find(const struct config *config, const char *path,
    struct cmd_unsafe *ret_unsafe);

/* A remote_unsafe_cb: its cookie is a struct cmd_unsafe. */
int cmd_is_unsafe(void *cookie, struct str script);

/* "unknown resource", with the closest one; returns CMD_USAGE. */
int cmd_unknown_resource(const struct catalog *catalog, const char *name);

/* Whether escape sequences may be written there: a terminal, or CLICOLOR_FORCE,
 * and no NO_COLOR. */
int cmd_colour(FILE *out);

/* Begin and end bold, green, red text; nothing unless ${colour}. */
enum cmd_style {
	CMD_BOLD,
	CMD_GREEN,
	CMD_RED,
};
void cmd_styled(FILE *out, int colour, enum cmd_style style, const char *text);

/* Write what a file or a peer said, control characters made visible. */
void cmd_put_visible(FILE *out, struct str s);

/* Write the whole of ${buf}, and free it. */
void cmd_flush(FILE *out, struct buf *buf);

/* Write ${text} in lines of 80 columns, from column ${indent} on; the first is
 * already there up to ${column}. */
void cmd_wrap(FILE *out, const char *text, size_t indent, size_t column);

#endif /* !CLI_CMD_H_ */
