#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include "config/option.h"
#include "config/value_internal.h"

#include "config/config.h"

/* What the strongest source so far said about one option, not yet parsed. */
struct config_value {
	enum config_source source;
	struct config_list texts;
};

static const char *const integration_keys[] = {
    "client_id",
    "client_secret",
    "scripts",
    "sentry_url",
};

static size_t
index_of(const struct option *option)
{
	return (size_t)(option - option_table);
}

static void *
field_of(struct config *config, const struct option *option)
{
	return (char *)config + option->offset;
}

struct config *
config_create(void)
{
	struct config *config = mem_zalloc(sizeof(*config));

	config->values = mem_array(option_count, sizeof(*config->values));
	return config;
}

static void
integration_clear(struct config_integration *integration)
{
	free(integration->name);
	free(integration->client_id);
	value_wipe_list(&integration->client_secrets);
	free(integration->sentry_url);
	free(integration->scripts);
}

void
config_free(struct config *config)
{
	size_t i;

	if (config == NULL)
		return;
	for (i = 0; i < option_count; i++) {
		value_clear(
		    &option_table[i], field_of(config, &option_table[i]));
		value_wipe_list(&config->values[i].texts);
	}
	for (i = 0; i < config->nintegrations; i++)
		integration_clear(&config->integrations[i]);
	free(config->integrations);
	free(config->store_path);
	free(config->values);
	free(config);
}

struct config *
config_create_again(const struct config *old)
{
	struct config *config = config_create();
	size_t i, k;

	for (i = 0; i < option_count; i++) {
		if (old->values[i].source < CONFIG_ENV)
			continue;
		config->values[i].source = old->values[i].source;
		for (k = 0; k < old->values[i].texts.n; k++)
			value_list_add(&config->values[i].texts,
			    old->values[i].texts.items[k]);
	}
	return config;
}

void
config_list_clear(struct config_list *list)
{
	value_wipe_list(list);
}

/* Add to ${list} what stands between the commas of ${text}, without blanks. */
static void
split_commas(const char *text, struct config_list *list)
{
	const char *end;
	char *piece;
	size_t len;

	for (;; text = end + 1) {
		text += strspn(text, " \t");
		end = text + strcspn(text, ",");
		len = (size_t)(end - text);
		while (len > 0 && strchr(" \t", text[len - 1]) != NULL)
			len--;
		if (len > 0) {
			piece = mem_strndup(text, len);
			value_list_add(list, piece);
			value_wipe(piece);
		}
		if (*end == '\0')
			return;
	}
}

int
config_set(struct config *config, const struct option *option, const char *text,
    enum config_source source, const char *where, struct err *err)
{
	struct config_value *value = &config->values[index_of(option)];
	struct config_list pieces = {NULL, 0};
	int list = option->type == OPTION_LIST, rc = -1;
	size_t i;

	/* One text can be a whole list. */
	if (list &&
	    (source == CONFIG_ENV || (option->flags & OPTION_COMMAS) != 0))
		split_commas(text, &pieces);
	else
		value_list_add(&pieces, text);
	if (pieces.n == 0)
		value_list_add(&pieces, "");

	/* A wrong value is told even if it would not count. */
	for (i = 0; i < pieces.n; i++) {
		if (value_parse(option, pieces.items[i], where, NULL, err) ==
		    -1)
			goto out;
	}
	rc = 0;
	if (source < value->source)
		goto out;
	if (!list || source > value->source)
		value_wipe_list(&value->texts);
	value->source = source;
	for (i = 0; i < pieces.n; i++)
		value_list_add(&value->texts, pieces.items[i]);

out:
	value_wipe_list(&pieces);
	return rc;
}

/* "unknown key 'x'", and which one was probably meant. */
static int
unknown_key(const char *file, const char *key, const char *meant,
    const char *prefix, struct err *err)
{
	char *dashless = mem_strdup(meant);
	size_t i;

	for (i = 0; dashless != NULL && dashless[i] != '\0'; i++) {
		if (dashless[i] == '-')
			dashless[i] = '_';
	}
	(void)err_set(err, ERR_NOT_FOUND, "%s: unknown key '%s%.60s'%s%s%s",
	    file, prefix, key, meant == NULL ? "" : "; did you mean '",
	    meant == NULL ? "" : dashless, meant == NULL ? "" : "'?");
	free(dashless);
	return -1;
}

int
config_set_key(struct config *config, const char *key, const char *text,
    const char *file, struct err *err)
{
	const struct option *option = option_find_key(key);
	char *where;
	int rc;

	if (option == NULL)
		return unknown_key(file, key, option_suggest_key(key), "", err);
	where = mem_printf("%s: %s", file, key);
	rc = config_set(config, option, text, CONFIG_FILE, where, err);
	free(where);
	return rc;
}

/* The further integration ${name}, made if it is not there. */
static struct config_integration *
integration_get(struct config *config, const char *name)
{
	struct config_integration *integration;
	size_t i;

	for (i = 0; i < config->nintegrations; i++) {
		if (strcmp(config->integrations[i].name, name) == 0)
			return &config->integrations[i];
	}
	config->integrations = mem_realloc(config->integrations,
	    (config->nintegrations + 1) * sizeof(*config->integrations));
	integration = &config->integrations[config->nintegrations++];
	*integration = (struct config_integration){.name = mem_strdup(name)};
	return integration;
}

/* The name is part of a path, of a URL and of names in the environment. */
static int
check_integration_name(const char *name, const char *file, struct err *err)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");

	if (name[len] != '\0' || len == 0 || len > 40 ||
	    strspn(name, "-_") > 0 || strstr(name, "__") != NULL)
		return err_set(err, ERR_INVALID,
		    "%s: '%.60s' cannot name an integration: lower-case "
		    "letters, digits, - and _, at most 40",
		    file, name);
	if (strcmp(name, "default") == 0)
		return err_set(err, ERR_INVALID,
		    "%s: the integration 'default' is what the keys outside "
		    "of 'integrations' say; choose another name",
		    file);
	return 0;
}

int
config_set_integration(struct config *config, const char *name, const char *key,
    const char *text, const char *file, struct err *err)
{
	struct config_integration *integration;
	size_t i, n = NELEMS(integration_keys);
	char *prefix, **field = NULL;

	if (check_integration_name(name, file, err) == -1)
		return -1;
	for (i = 0; i < n; i++) {
		if (strcmp(integration_keys[i], key) == 0)
			break;
	}
	if (i == n) {
		prefix = mem_printf("integrations.%s.", name);
		(void)unknown_key(file, key,
		    str_closest(key, integration_keys, n), prefix, err);
		free(prefix);
		return -1;
	}
	if (text[strspn(text, " \t,")] == '\0')
		return err_set(err, ERR_INVALID,
		    "%s: integrations.%s.%s: is empty", file, name, key);

	integration = integration_get(config, name);
	if (strcmp(key, "client_secret") == 0) {
		split_commas(text, &integration->client_secrets);
		return 0;
	}
	if (strcmp(key, "client_id") == 0)
		field = &integration->client_id;
	else if (strcmp(key, "scripts") == 0)
		field = &integration->scripts;
	else
		field = &integration->sentry_url;
	free(*field);
	*field = mem_strdup(text);
	return 0;
}

/* One flag that begins at args[*${at}]; leave *${at} at its last argument. */
static int
set_flag(struct config *config, unsigned int commands, char *const *args,
    size_t *at, struct err *err)
{
	const char *arg = args[*at], *value = strchr(arg, '='), *text, *meant;
	const struct option *option;
	char *name, *where;
	int negated = 0, rc = -1;

	name = value == NULL ? mem_strdup(arg + 2)
			     : mem_strndup(arg + 2, (size_t)(value - arg - 2));
	where = mem_printf("--%.60s", name);
	option = option_find_flag(name, commands);
	if (option == NULL && strncmp(name, "no-", 3) == 0) {
		option = option_find_flag(name + 3, commands);
		negated = option != NULL && option->type == OPTION_BOOL;
		if (!negated)
			option = NULL;
	}
	if (option == NULL) {
		meant = option_suggest_flag(name, commands);
		(void)err_set(err, ERR_INVALID, "unknown option %s%s%s%s",
		    where, meant == NULL ? "" : "; did you mean --",
		    meant == NULL ? "" : meant, meant == NULL ? "" : "?");
		goto out;
	}

	/* Its value: behind the equals sign, itself, or the next argument. */
	if (negated && value != NULL) {
		(void)err_set(err, ERR_INVALID, "%s: takes no value", where);
		goto out;
	}
	if (value != NULL)
		text = value + 1;
	else if (negated)
		text = "off";
	else if (option->metavar == NULL)
		text = "on";
	else
		text = args[++*at];
	if (text == NULL) {
		(void)err_set(err, ERR_INVALID, "%s: needs a value: --%s %s",
		    where, option->name, option->metavar);
		goto out;
	}
	rc = config_set(config, option, text, CONFIG_FLAG, where, err);

out:
	free(name);
	free(where);
	return rc;
}

/* Short forms: "-h". */
static int
set_letter(struct config *config, unsigned int commands, const char *arg,
    struct err *err)
{
	size_t i;

	for (i = 0; i < option_count; i++) {
		if (option_is_flag(&option_table[i], commands) &&
		    option_table[i].letter == arg[1] && arg[2] == '\0')
			return config_set(config, &option_table[i], "on",
			    CONFIG_FLAG, arg, err);
	}
	return err_set(err, ERR_INVALID,
	    "unknown option %.60s; options are written out: --name value", arg);
}

int
config_set_args(struct config *config, unsigned int commands, char *const *args,
    char ***ret_rest, size_t *ret_nrest, struct err *err)
{
	size_t n = 0, i, nrest = 0;
	char **rest;
	int rc = 0;

	while (args[n] != NULL)
		n++;
	rest = mem_array(n + 1, sizeof(*rest));
	for (i = 0; i < n && rc == 0; i++) {
		if (strcmp(args[i], "--") == 0) {
			while (++i < n)
				rest[nrest++] = args[i];
		} else if (strncmp(args[i], "--", 2) == 0) {
			rc = set_flag(config, commands, args, &i, err);
		} else if (args[i][0] == '-' && args[i][1] != '\0') {
			rc = set_letter(config, commands, args[i], err);
		} else {
			rest[nrest++] = args[i];
		}
		/* Who asks for help is not told off for the rest. */
		if (strcmp(config_text(config, "help"), "on") == 0)
			break;
	}
	if (rc == -1) {
		free(rest);
		return -1;
	}
	*ret_rest = rest;
	*ret_nrest = nrest;
	return 0;
}

int
config_set_env(
    struct config *config, char *const *environ_list, struct err *err)
{
	char name[OPTION_NAME_SIZE];
	const char *text;
	size_t i, k, len;

	for (i = 0; i < option_count; i++) {
		len = strlen(option_env(&option_table[i], name));
		if (len == 0)
			continue;
		for (k = 0; environ_list[k] != NULL; k++) {
			if (strncmp(environ_list[k], name, len) == 0 &&
			    environ_list[k][len] == '=')
				break;
		}
		if (environ_list[k] == NULL)
			continue;
		text = environ_list[k] + len + 1;
		if (text[0] != '\0' && config_set(config, &option_table[i],
					   text, CONFIG_ENV, name, err) == -1)
			return -1;
	}
	return 0;
}

const char *
config_text(const struct config *config, const char *name)
{
	const struct config_value *value;
	size_t i;

	for (i = 0; i < option_count; i++) {
		value = &config->values[i];
		if (strcmp(option_table[i].name, name) == 0)
			return value->texts.n > 0
				   ? value->texts.items[value->texts.n - 1]
				   : option_table[i].preset;
	}
	return NULL;
}

enum config_source
config_source(const struct config *config, const struct option *option)
{
	return config->values[index_of(option)].source;
}

/* "https://sentry.io/" is "https://sentry.io". */
static int
check_url(char *url, const char *what, struct err *err)
{
	size_t len = strlen(url);

	while (len > 0 && url[len - 1] == '/')
		url[--len] = '\0';
	if (strncmp(url, "https://", 8) == 0 ? len == 8
					     : strncmp(url, "http://", 7) != 0)
		return err_set(err, ERR_INVALID,
		    "%s: '%.80s' is not an http:// or https:// address", what,
		    url);
	return 0;
}

/* The settings outside of `integrations` are the first one's. */
static int
finish_integrations(struct config *config, struct err *err)
{
	struct config_integration first = {.name = mem_strdup("default")};
	struct config_integration *it;
	size_t i;
	char *what;
	int rc;

	first.client_id = mem_strdup(config->client_id);
	first.sentry_url = mem_strdup(config->sentry_url);
	first.scripts = mem_strdup(config->scripts);
	for (i = 0; i < config->client_secrets.n; i++)
		value_list_add(
		    &first.client_secrets, config->client_secrets.items[i]);
	config->integrations = mem_realloc(config->integrations,
	    (config->nintegrations + 1) * sizeof(*config->integrations));
	(void)memmove(config->integrations + 1, config->integrations,
	    config->nintegrations * sizeof(*config->integrations));
	config->integrations[0] = first;
	config->nintegrations++;

	if (check_url(config->integrations[0].sentry_url, "SENTRY_URL", err) ==
	    -1)
		return -1;
	for (i = 1; i < config->nintegrations; i++) {
		it = &config->integrations[i];
		if (it->scripts == NULL || it->client_secrets.n == 0)
			return err_set(err, ERR_INVALID,
			    "integrations.%s: has no %s", it->name,
			    it->scripts == NULL ? "scripts folder"
						: "client_secret");
		if (it->sentry_url == NULL)
			it->sentry_url = mem_strdup(first.sentry_url);
		what = mem_printf("integrations.%s.sentry_url", it->name);
		rc = check_url(it->sentry_url, what, err);
		free(what);
		if (rc == -1)
			return -1;
	}
	return 0;
}

/* What no single option can know. */
static int
check_together(struct config *config, struct err *err)
{
	if ((config->tls_cert == NULL) != (config->tls_key == NULL))
		return err_set(err, ERR_INVALID,
		    "--tls-cert and --tls-key need each other: --%s is missing",
		    config->tls_cert == NULL ? "tls-cert" : "tls-key");
	if (config->retry_base_ms > config->retry_max_ms)
		return err_set(err, ERR_INVALID,
		    "--retry-base: '%s' is above --retry-max, which is '%s'",
		    config_text(config, "retry-base"),
		    config_text(config, "retry-max"));
	if (config->store != NULL &&
	    (strncmp(config->store, "sqlite:", 7) != 0 ||
		config->store[7] == '\0'))
		return err_set(err, ERR_INVALID,
		    "--store: '%.80s' is not sqlite:DIR", config->store);
	return 0;
}

int
config_finish(struct config *config, struct err *err)
{
	const struct option *option;
	const struct config_list *texts;
	long cores;
	size_t i, k;

	/* Each text was checked when it was set. */
	for (i = 0; i < option_count; i++) {
		option = &option_table[i];
		texts = &config->values[i].texts;
		if (texts->n == 0 && option->preset != NULL &&
		    value_parse(option, option->preset, option->name,
			field_of(config, option), err) == -1)
			return -1;
		for (k = 0; k < texts->n; k++) {
			if (value_parse(option, texts->items[k], option->name,
				field_of(config, option), err) == -1)
				return -1;
		}
	}
	if (check_together(config, err) == -1 ||
	    finish_integrations(config, err) == -1)
		return -1;

	/* Defaults that are not the same everywhere. */
	if (config->store != NULL)
		config->store_path = mem_strdup(config->store + 7);
	else
		config->store_path = mem_strdup(config->data);
	if (config->log == CONFIG_LOG_AUTO)
		config->log = config->dev || isatty(STDERR_FILENO)
				  ? CONFIG_LOG_PRETTY
				  : CONFIG_LOG_JSON;
	if (config->preflight == CONFIG_PREFLIGHT_AUTO)
		config->preflight =
		    config->dev ? CONFIG_PREFLIGHT_TEST : CONFIG_PREFLIGHT_LOAD;
	if (config->workers == 0) {
		cores = sysconf(_SC_NPROCESSORS_ONLN);
		config->workers = cores < 1    ? 1
				  : cores > 64 ? 64
					       : (uint64_t)cores;
	}
	return 0;
}

/* The text at ${k} of what an option was set to, or its default. */
static const char *
effective(const struct config *config, size_t i, size_t k)
{
	const struct config_list *texts = &config->values[i].texts;

	if (texts->n == 0)
		return k == 0 ? option_table[i].preset : NULL;
	return k < texts->n ? texts->items[k] : NULL;
}

const struct option *
config_next_change(const struct config *old, const struct config *new,
    const struct option *option)
{
	size_t i = option == NULL ? 0 : index_of(option) + 1, k;
	const char *a, *b;

	for (; i < option_count; i++) {
		for (k = 0;; k++) {
			a = effective(old, i, k);
			b = effective(new, i, k);
			if (a == NULL || b == NULL || strcmp(a, b) != 0)
				break;
		}
		if (a != b)
			return &option_table[i];
	}
	return NULL;
}

/* Whether both are NULL, or the same text. */
static int
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

int
config_integrations_differ(const struct config *old, const struct config *new)
{
	const struct config_integration *a, *b;
	size_t i;

	if (old->nintegrations != new->nintegrations)
		return 1;
	for (i = 1; i < old->nintegrations; i++) {
		a = &old->integrations[i];
		b = config_find_integration(new, a->name);
		if (b == NULL || !same_text(a->scripts, b->scripts) ||
		    !same_text(a->client_id, b->client_id) ||
		    !same_text(a->sentry_url, b->sentry_url))
			return 1;
	}
	return 0;
}

int
config_is_unsafe(
    const struct config *config, const char *integration, struct str script)
{
	const char *name, *slash;
	struct str of;
	size_t i;

	for (i = 0; i < config->unsafe_stdlib.n; i++) {
		name = config->unsafe_stdlib.items[i];
		slash = strchr(name, '/');
		of = slash == NULL ? STR("default")
				   : (struct str){name, (size_t)(slash - name)};
		if (str_eq(of, str_of(integration)) &&
		    str_eq(str_of(slash == NULL ? name : slash + 1), script))
			return 1;
	}
	return 0;
}

const struct config_integration *
config_find_integration(const struct config *config, const char *name)
{
	size_t i;

	for (i = 0; i < config->nintegrations; i++) {
		if (strcmp(config->integrations[i].name, name) == 0)
			return &config->integrations[i];
	}
	return NULL;
}
