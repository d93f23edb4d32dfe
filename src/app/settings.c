#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "json/jdoc.h"

#include "config/config.h"
#include "config/option.h"
#include "wire/remote.h"

#include "app/settings.h"

/* Nobody writes more than that by hand. */
#define MAX_FILE ((size_t)1 << 20)

/* Lua's memory while the file is evaluated. */
#define MEMORY ((uint64_t)64 << 20)

/* Who takes a text: config_set_key(), or one key of an integration. */
struct taker {
	struct config *config;
	const char *integration; /* NULL: the settings themselves. */
	const char *file;
};

static int
take(const struct taker *taker, const char *key, const char *text,
    struct err *err)
{
	if (taker->integration != NULL)
		return config_set_integration(taker->config, taker->integration,
		    key, text, taker->file, err);
	return config_set_key(taker->config, key, text, taker->file, err);
}

/* Append a single value as the text that a flag would have. */
static int
put_text(struct buf *out, const struct jval *value, const char *key)
{
	const struct option *option = option_find_key(key);
	double d;

	switch (jval_kind(value)) {
	case JDOC_TRUE:
		buf_puts(out, "on");
		return 0;
	case JDOC_FALSE:
		buf_puts(out, "off");
		return 0;
	case JDOC_INT:
		buf_printf(out, "%lld", (long long)value->v.i);
		return 0;
	case JDOC_UINT:
		buf_printf(out, "%llu", (unsigned long long)value->v.u);
		return 0;
	case JDOC_REAL:
		/* Lua's arithmetic makes floats; durations are seconds. */
		d = value->v.d;
		if (option != NULL && option->type == OPTION_DURATION &&
		    d >= 0 && d < 1e12 && d * 1000 == floor(d * 1000))
			buf_printf(out, "%.0fms", d * 1000);
		else
			buf_printf(out, "%.17g", d);
		return 0;
	case JDOC_STRING:
		if (memchr(value->v.s, '\0', value->len) != NULL)
			return -1;
		buf_put(out, value->v.s, value->len);
		return 0;
	case JDOC_NULL:
	case JDOC_ARRAY:
	case JDOC_OBJECT:
	default:
		return -1;
	}
}

/* Whether a key takes several values. */
static int
is_list(const struct taker *taker, const char *key)
{
	const struct option *option;

	if (taker->integration != NULL)
		return strcmp(key, "client_secret") == 0;
	option = option_find_key(key);
	return option != NULL && option->type == OPTION_LIST;
}

static int
take_value(const struct taker *taker, const char *key, const struct jval *value,
    struct err *err)
{
	enum jdoc_kind kind = jval_kind(value);
	const struct jval *element;
	struct buf text = BUF_INIT;
	int rc = -1;
	size_t i;

	/* An empty table of Lua is an empty list as well. */
	if (is_list(taker, key) && kind == JDOC_OBJECT && value->len == 0)
		return 0;
	if (is_list(taker, key) && kind == JDOC_ARRAY) {
		for (element = value + 1, i = 0; i < value->len;
		     i++, element = jval_next(element)) {
			if (jval_kind(element) >= JDOC_ARRAY)
				return err_set(err, ERR_INVALID,
				    "%s: %s: a list in a list", taker->file,
				    key);
			if (take_value(taker, key, element, err) == -1)
				return -1;
		}
		return 0;
	}

	if (put_text(&text, value, key) == 0) {
		rc = take(taker, key, buf_text(&text), err);
	} else {
		/* An unknown key is the better thing to tell. */
		rc = take(taker, key, "", err);
		if (rc == 0 || err == NULL || err->code != ERR_NOT_FOUND)
			rc = err_set(err, ERR_INVALID, "%s: %s: is %s, give %s",
			    taker->file, key,
			    kind == JDOC_STRING ? "not text"
						: jval_type_name(value),
			    is_list(taker, key) ? "a string or a list of them"
						: "one value");
	}
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	buf_free(&text);
	return rc;
}

/* Every member of a table. */
static int
take_members(
    const struct taker *taker, const struct jval *table, struct err *err)
{
	const struct jval *member;
	char *key;
	int rc = 0;
	size_t i;

	for (member = table + 1, i = 0; i < table->len && rc == 0;
	     i++, member = jval_next(member + 1)) {
		if (taker->integration == NULL &&
		    str_eq(jval_str(member), STR("integrations")))
			continue;
		key = mem_strndup(member->v.s, member->len);
		rc = take_value(taker, key, member + 1, err);
		free(key);
	}
	return rc;
}

static int
not_integrations(const struct taker *taker, struct err *err)
{
	return err_set(err, ERR_INVALID,
	    "%s: integrations: must be a table of tables, NAME = { "
	    "client_secret = ..., scripts = ... }",
	    taker->file);
}

static int
take_integrations(
    const struct taker *taker, const struct jval *table, struct err *err)
{
	struct taker inner = *taker;
	const struct jval *member;
	char *name;
	int rc = 0;
	size_t i;

	/* An empty table may come as either. */
	if (table == NULL || (jval_kind(table) >= JDOC_ARRAY && !table->len))
		return 0;
	if (jval_kind(table) != JDOC_OBJECT)
		return not_integrations(taker, err);
	for (member = table + 1, i = 0; i < table->len && rc == 0;
	     i++, member = jval_next(member + 1)) {
		if (jval_kind(member + 1) != JDOC_OBJECT &&
		    jval_kind(member + 1) != JDOC_ARRAY)
			return not_integrations(taker, err);
		if (member[1].len == 0)
			return err_set(err, ERR_INVALID,
			    "%s: integrations.%.*s: is empty; it needs "
			    "client_secret and scripts",
			    taker->file,
			    member->len > 40 ? 40 : (int)member->len,
			    member->v.s);
		if (jval_kind(member + 1) == JDOC_ARRAY)
			return not_integrations(taker, err);
		name = mem_strndup(member->v.s, member->len);
		inner.integration = name;
		rc = take_members(&inner, member + 1, err);
		free(name);
	}
	return rc;
}

int
settings_apply(struct config *config, const struct jval *table,
    const char *file, struct err *err)
{
	struct taker taker = {config, NULL, file};

	if (jval_kind(table) != JDOC_OBJECT)
		return err_set(err, ERR_INVALID,
		    "%s: must return a table of settings, returns %s", file,
		    jval_kind(table) == JDOC_NULL ? "nothing"
						  : jval_type_name(table));
	if (take_members(&taker, table, err) == 0 &&
	    take_integrations(&taker, jdoc_gets(table, "integrations"), err) ==
		0)
		return 0;

	/* A key that is not there is a fault of the file, as any other. */
	if (err != NULL)
		err->code = ERR_INVALID;
	return -1;
}

/* ---- the file -------------------------------------------------------------
 */

/* "moonpost.lua" beside the scripts folder. */
static char *
path_beside(const char *scripts)
{
	size_t len = strlen(scripts);

	while (len > 0 && scripts[len - 1] == '/')
		len--;
	while (len > 0 && scripts[len - 1] != '/')
		len--;
	return mem_printf("%.*smoonpost.lua", (int)len, scripts);
}

/* Whether only the user can have written what is open as ${fd}. */
static int
is_trusted(int fd, const char *path, struct err *warning)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return err_set(
		    warning, ERR_UNAVAILABLE, "%s: %s", path, strerror(errno));
	if (st.st_uid != geteuid())
		return err_set(warning, ERR_UNAUTH,
		    "%s is passed over: it belongs to another user; name it by "
		    "--config if it is meant",
		    path);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return err_set(warning, ERR_UNAUTH,
		    "%s is passed over: others can write to it; 'chmod go-w "
		    "%s' keeps them out",
		    path, path);
	return 0;
}

/*
 * Read the file that counts into ${text}.  Return 1; 0 if there is none, or
 * none that can be trusted; -1 and an error.
 */
static int
read_file(const struct config *config, char **ret_path, struct buf *text,
    struct err *warning, struct err *err)
{
	const char *named = config_text(config, "config");
	char self[32];
	int fd, rc;

	*ret_path = named != NULL ? mem_strdup(named)
				  : path_beside(config_text(config, "scripts"));
	if (named != NULL)
		return file_read(named, MAX_FILE, text, err) == -1 ? -1 : 1;

	/* What is looked at and what is read must be the same file. */
	fd = open(*ret_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd == -1)
		return err_set(
		    err, ERR_UNAVAILABLE, "%s: %s", *ret_path, strerror(errno));
	rc = 0;
	if (is_trusted(fd, *ret_path, warning) == 0) {
		(void)snprintf(self, sizeof(self), "/dev/fd/%d", fd);
		rc = file_read(self, MAX_FILE, text, err) == -1 ? -1 : 1;
	}
	(void)close(fd);
	return rc;
}

/* What `env "NAME"` gives. */
static const char *
look_up(void *cookie, const char *name)
{
	(void)cookie;
	return strncmp(name, "env:", 4) == 0 ? getenv(name + 4) : NULL;
}

static int
evaluate(struct config *config, const char *path, const struct buf *text,
    struct err *err)
{
	const struct remote_options options = {
	    .setup = {.mem_bytes = MEMORY,
		.cpu_ms = SETTINGS_DEADLINE_MS,
		.slow_ms = SETTINGS_DEADLINE_MS,
		.handler_ms = SETTINGS_DEADLINE_MS},
	    .deadline_ms = SETTINGS_DEADLINE_MS,
	    .secret = look_up,
	};
	struct remote *remote;
	struct jdoc doc = {0};
	char *json = NULL;
	int rc;

	if (memchr(buf_text(text), '\0', text->len) != NULL)
		return err_set(err, ERR_INVALID, "%s: is not Lua text", path);
	remote = remote_open(&options);
	rc = remote_eval(remote, path, buf_text(text), &json, err);
	remote_close(remote);
	if (rc == 0)
		rc = jdoc_parse(&doc, json, strlen(json), NULL, err);
	if (rc == 0)
		rc = settings_apply(config, jdoc_root(&doc), path, err);
	jdoc_free(&doc);
	if (json != NULL)
		explicit_bzero(json, strlen(json));
	free(json);
	return rc;
}

int
settings_load(struct config *config, struct err *warning, struct err *err)
{
	struct buf text = BUF_INIT;
	char *path = NULL;
	int rc;

	*warning = (struct err)ERR_INIT;
	rc = read_file(config, &path, &text, warning, err);
	if (rc == 1)
		rc = evaluate(config, path, &text, err);
	if (rc == 0)
		rc = config_finish(config, err);
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	buf_free(&text);
	free(path);
	return rc;
}
