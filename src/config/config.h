#ifndef CONFIG_CONFIG_H_
#define CONFIG_CONFIG_H_

/*
 * What the user asked for: the values of all options, typed and checked.
 *
 * A config is filled in from its sources in any order (a flag beats the
 * environment, that beats the file, that beats the default), then finished, and
 * from then on it is immutable and may be read by every thread.
 *
 * Floor: 1 (config).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/log.h"
#include "base/str.h"

struct config_value;
struct err;
struct option;

/* Where a value came from; the higher one wins. */
enum config_source {
	CONFIG_DEFAULT,
	CONFIG_FILE,
	CONFIG_ENV,
	CONFIG_FLAG,
};

enum config_validation {
	CONFIG_STRICT,
	CONFIG_WARN,
	CONFIG_OFF,
};

enum config_dedupe {
	CONFIG_DEDUPE_KEY,
	CONFIG_DEDUPE_SIGNATURE,
	CONFIG_DEDUPE_OFF,
};

enum config_ordering {
	CONFIG_ORDER_LOOSE,
	CONFIG_ORDER_STRICT,
};

enum config_token_grant {
	CONFIG_TOKEN_REFRESH,
	CONFIG_TOKEN_JWT,
};

enum config_preflight {
	CONFIG_PREFLIGHT_AUTO, /* Never in a finished config. */
	CONFIG_PREFLIGHT_OFF,
	CONFIG_PREFLIGHT_LOAD,
	CONFIG_PREFLIGHT_TEST,
};

enum config_log {
	CONFIG_LOG_AUTO, /* Never in a finished config. */
	CONFIG_LOG_JSON,
	CONFIG_LOG_PRETTY,
};

struct config_address {
	char *text; /* "127.0.0.1:8080" */
	char *host; /* Without the brackets of an IPv6 address. */
	uint16_t port;
};

struct config_list {
	char **items;
	size_t n;
};

/* One integration of Sentry's; the first is "default". */
struct config_integration {
	char *name;
	char *client_id;                   /* NULL if unknown. */
	struct config_list client_secrets; /* The newest first. */
	char *sentry_url;                  /* No slash at its end. */
	char *scripts;
};

/* Fields in the order of the options. */
struct config {
	/* Settings. */
	struct config_list allow_hosts;
	int allow_private;
	int auto_install;
	uint64_t concurrency;
	char *config;
	struct config_address console; /* host NULL: off. */
	char *console_token;           /* NULL: the one in the data folder. */
	uint64_t cpu_limit_ms;
	char *data;
	enum config_dedupe dedupe;
	uint64_t dedupe_window_ms;
	int dev;
	uint64_t drain_timeout_ms;
	uint64_t handler_timeout_ms;
	uint64_t ingress_threads;
	int keep_unhandled;
	struct config_list keys; /* The newest first; none: a file. */
	struct config_address listen;
	enum config_log log;
	enum log_level log_level;
	uint64_t max_age_ms; /* 0 = off. */
	uint64_t max_body;
	uint64_t max_connections;
	uint64_t max_headers;
	uint64_t memory_limit;
	enum config_ordering ordering;
	uint64_t request_timeout_ms;
	uint64_t retain_dead_ms; /* 0 = for ever. */
	uint64_t retain_done_ms; /* 0 = for ever. */
	uint64_t retry_attempts;
	uint64_t retry_base_ms;
	uint64_t retry_max_ms;
	struct config_list schemas;
	enum config_preflight preflight;
	char *proxy; /* NULL: none. */
	char *scripts;
	char *secrets;        /* A folder, or NULL. */
	char *setup_redirect; /* NULL: into Sentry. */
	char *store;          /* "sqlite:FOLDER" */
	uint64_t store_max_bytes;
	char *tls_cert; /* NULL: plain HTTP. */
	char *tls_key;
	enum config_token_grant token_grant;
	uint64_t ui_timeout_ms;
	struct config_list unsafe_stdlib; /* SCRIPT or INTEGRATION/SCRIPT */
	enum config_validation validation;
	uint64_t workers; /* At least 1. */

	/* What one command is asked to do. */
	char *action;
	int all_scripts;
	uint64_t count;
	char *file;
	int fixture;
	int help;
	char *integration;
	int json;
	uint64_t limit;
	int list;
	char *only;
	char *out;
	struct config_address preview_listen;
	int pkce;
	int print;
	char *q;
	char *resource;
	char *schema;
	char *scope;
	char *script;
	char *secret;
	struct config_list set;
	struct config_address sim_listen;
	char *since;
	char *state;
	uint64_t time_scale;
	char *until;
	char *url;

	/* Derived. */
	char *store_path; /* The folder of an SQLite store. */
	struct config_integration *integrations;
	size_t nintegrations; /* At least 1. */

	/* Into the first integration. */
	char *client_id;
	struct config_list client_secrets;
	char *sentry_url;

	struct config_value *values; /* config.c's: what each source said. */
};

/**
 * config_create(), config_free(config):
 * A config in which nothing was set yet.  Secrets are overwritten when it goes.
 *
 * Ownership: the caller frees with config_free(); config_free(NULL) does
 *            nothing.
 */
struct config *config_create(void);
void config_free(struct config *config);

/**
 * config_create_again(old):
 * A config with the flags and the environment of ${old}, for a reload of the
 * file.
 *
 * Ownership: borrows ${old}; the caller frees with config_free().
 */
struct config *config_create_again(const struct config *old);

/**
 * config_set(config, option, text, source, where, err):
 * Set one option.  A list that has a value from the same source gets one more.
 * ${text} is checked even where a stronger source has spoken.
 *
 * Errors:    ERR_INVALID      ${text} is not a value for it; the message begins
 *                             with ${where} and says what is allowed.
 * Ownership: borrows everything.
 */
int config_set(struct config *config, const struct option *option,
    const char *text, enum config_source source, const char *where,
    struct err *err) ATTR_MUSTCHECK;

/**
 * config_set_key(config, key, text, file, err):
 * Set what the key ${key} of the configuration file ${file} says; a list is set
 * by one call for each of its values.
 *
 * Errors:    ERR_NOT_FOUND    no such key: the closest one is suggested;
 *            ERR_INVALID      not a value for it.
 */
int config_set_key(struct config *config, const char *key, const char *text,
    const char *file, struct err *err) ATTR_MUSTCHECK;

/**
 * config_set_integration(config, name, key, text, file, err):
 * The same for one of `client_id`, `client_secret` (each call adds one),
 * `sentry_url`, `scripts` of the further integration ${name}.
 *
 * Errors:    ERR_NOT_FOUND    no such key: the closest one is suggested;
 *            ERR_INVALID      no name for an integration, or an empty value.
 */
int config_set_integration(struct config *config, const char *name,
    const char *key, const char *text, const char *file,
    struct err *err) ATTR_MUSTCHECK;

/**
 * config_set_args(config, commands, args, ret_rest, ret_nrest, err):
 * Read the command line ${args} (NULL at its end) of a command that has
 * ${commands} (enum option_command): "--name value", "--name=value",
 * "--no-name" for a switch, and "--" before what only looks like a flag.
 * config_text() can tell at once whether help was asked for; what follows that
 * is not looked at.
 *
 * Returns:   0, and *${ret_rest} holds the *${ret_nrest} arguments that are no
 *            flags, with a NULL behind.
 * Errors:    ERR_INVALID      an unknown flag, with the closest one suggested,
 *                             a missing value, or not a value for it.
 * Ownership: the caller frees *${ret_rest} with free(); its elements are those
 *            of ${args}.
 */
int config_set_args(struct config *config, unsigned int commands,
    char *const *args, char ***ret_rest, size_t *ret_nrest,
    struct err *err) ATTR_MUSTCHECK;

/**
 * config_set_env(config, environ, err):
 * Read the environment ("NAME=value", NULL at its end).  An empty variable is
 * as good as none.
 *
 * Errors:    ERR_INVALID      not a value for its option.
 */
int config_set_env(struct config *config, char *const *environ,
    struct err *err) ATTR_MUSTCHECK;

/**
 * config_text(config, name):
 * The text of a setting as the strongest source so far gave it (of a list, the
 * last), or its default; NULL if it has none.
 *
 * Ownership: borrowed from ${config}, until it is set again.
 */
const char *config_text(const struct config *config, const char *name);

/* Where the setting ${option} came from. */
enum config_source config_source(
    const struct config *config, const struct option *option);

/**
 * config_finish(config, err):
 * Fill in the fields, and check what options say together.
 *
 * Errors:    ERR_INVALID      they contradict each other.
 */
int config_finish(struct config *config, struct err *err) ATTR_MUSTCHECK;

/**
 * config_next_change(old, new, option):
 * The first option behind ${option} (NULL: from the start) whose text differs
 * between two configs; NULL if there is none.  A host that reloads applies it
 * if it is OPTION_RELOADABLE, and else says that it needs a restart.
 */
const struct option *config_next_change(const struct config *old,
    const struct config *new, const struct option *option);

/**
 * config_integrations_differ(old, new):
 * Whether two configs have other further integrations, or the same ones with
 * other settings, client secrets aside.
 */
int config_integrations_differ(
    const struct config *old, const struct config *new);

/**
 * config_find_integration(config, name):
 * The integration with that name, or NULL.
 */
const struct config_integration *config_find_integration(
    const struct config *config, const char *name);

/**
 * config_is_unsafe(config, integration, script):
 * Whether --unsafe-stdlib names that script, which is "INTEGRATION/SCRIPT" for
 * another integration than the default one.
 */
int config_is_unsafe(
    const struct config *config, const char *integration, struct str script);

/* Forget a list, and give its memory back. */
void config_list_clear(struct config_list *list);

#endif /* !CONFIG_CONFIG_H_ */
