#ifndef CONFIG_OPTION_H_
#define CONFIG_OPTION_H_

/*
 * The one table of options.  Flags, environment, keys of moonpost.lua, help,
 * the manual and the reference page are all made from it.
 *
 * Floor: 1 (config).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

/* What a value is, and the type of its field in struct config. */
enum option_type {
	OPTION_STRING,   /* char *; NULL where there is no default. */
	OPTION_ENUM,     /* An enum whose values number option->choices. */
	OPTION_BOOL,     /* int */
	OPTION_DURATION, /* uint64_t, milliseconds */
	OPTION_SIZE,     /* uint64_t, bytes */
	OPTION_COUNT,    /* uint64_t, of option->unit */
	OPTION_ADDRESS,  /* struct config_address */
	OPTION_LIST,     /* struct config_list; each use adds one */
};

/* Commands that take an option as a flag. */
enum option_command {
	OPTION_FOR_SERVE = 1 << 0,
	OPTION_FOR_SEND = 1 << 1,
	OPTION_FOR_CHECK = 1 << 2,
	OPTION_FOR_VALIDATE = 1 << 3,
	OPTION_FOR_CHANNELS = 1 << 4,
	OPTION_FOR_HELP = 1 << 5,
	OPTION_FOR_DELIVERIES = 1 << 6,
	OPTION_FOR_SHOW = 1 << 7,
	OPTION_FOR_REPLAY = 1 << 8,
	OPTION_FOR_TAIL = 1 << 9,
	OPTION_FOR_SCRIPTS = 1 << 10,
	OPTION_FOR_CONTROL = 1 << 11, /* pause, resume, discard */
	OPTION_FOR_TEST = 1 << 12,
	OPTION_FOR_SIM = 1 << 13,
	OPTION_FOR_LOGIN = 1 << 14,
	OPTION_FOR_TYPES = 1 << 15,
	OPTION_FOR_NEW = 1 << 16,
	OPTION_FOR_UI_SCHEMA = 1 << 17,
	OPTION_FOR_PREVIEW = 1 << 18,
	OPTION_FOR_TOKEN = 1 << 19,
	OPTION_FOR_LOGOUT = 1 << 20,
	OPTION_FOR_ALL = 0xFFFFFF,
};

enum option_flag {
	OPTION_RELOADABLE = 1 << 0, /* A reload takes the new value. */
	OPTION_NO_FLAG = 1 << 1,    /* Not on a command line, which every user
				     * of the machine can read. */
	OPTION_NO_ENV = 1 << 2,
	OPTION_NO_FILE = 1 << 3,
	OPTION_OR_OFF = 1 << 4, /* "off" is a value, and is 0. */
	OPTION_SECRET = 1 << 5, /* Never shown. */
	OPTION_COMMAS = 1 << 6, /* LIST: commas separate. */

	/* Asks for something once: neither environment nor file. */
	OPTION_ONCE = OPTION_NO_ENV | OPTION_NO_FILE,
};

struct option {
	const char *name; /* "retry-max" */
	enum option_type type;
	unsigned int flags;         /* enum option_flag */
	unsigned int commands;      /* enum option_command */
	char letter;                /* Its short form, or 0. */
	const char *env;            /* NULL: MOONPOST_ and the name. */
	const char *metavar;        /* "FILE"; NULL for a switch. */
	const char *const *choices; /* ENUM: its values, NULL at the end. */
	const char *unit;           /* COUNT: "threads" */
	const char *preset;         /* The default as text, or NULL. */
	const char *preset_note;    /* What it comes to, where that needs words.
				     */
	uint64_t min, max;          /* DURATION, SIZE, COUNT */
	size_t offset;              /* Of its field in struct config. */
	const char *help;           /* One line. */
};

/* Alphabetical.  A name occurs twice if commands mean different things. */
extern const struct option option_table[];
extern const size_t option_count;

/* Whether a command that has ${commands} takes it as a flag. */
int option_is_flag(const struct option *option, unsigned int commands);

/**
 * option_find_flag(name, commands), option_find_key(name):
 * The option that a flag of a command names, or a key of moonpost.lua (where
 * underscores are as good as dashes); NULL if there is none.
 */
const struct option *option_find_flag(const char *name, unsigned int commands);
const struct option *option_find_key(const char *name);

/**
 * option_suggest_flag(name, commands), option_suggest_key(name):
 * The name that was probably meant, or NULL.
 */
const char *option_suggest_flag(const char *name, unsigned int commands);
const char *option_suggest_key(const char *name);

/**
 * option_env(option, ret_name), option_key(option, ret_name):
 * Its name in the environment ("MOONPOST_RETRY_MAX") and in moonpost.lua
 * ("retry_max"); "" if it has none.
 *
 * Returns:   ${ret_name}.
 */
#define OPTION_NAME_SIZE 64
char *option_env(
    const struct option *option, char ret_name[static OPTION_NAME_SIZE]);
char *option_key(
    const struct option *option, char ret_name[static OPTION_NAME_SIZE]);

#endif /* !CONFIG_OPTION_H_ */
