#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include "config/config.h"
#include "crypto/random.h"
#include "crypto/secrets.h"
#include "net/guard.h"
#include "net/proxy.h"

#include "app/app.h"

/* Bytes of randomness in a secret that we make. */
#define KEPT_BYTES 32
#define KEPT_MAX 4096

/* Whether standard error takes colours (no-color.org, and its opposite). */
static int
wants_colour(void)
{
	const char *no = getenv("NO_COLOR"), *force = getenv("CLICOLOR_FORCE");
	const char *term = getenv("TERM");

	if (no != NULL && no[0] != '\0')
		return 0;
	if (force != NULL && force[0] != '\0' && strcmp(force, "0") != 0)
		return 1;
	return isatty(STDERR_FILENO) &&
	       (term == NULL || strcmp(term, "dumb") != 0);
}

void
app_setup_log(const struct config *config)
{
	log_setup(config->log == CONFIG_LOG_PRETTY ? LOG_FORMAT_PRETTY
						   : LOG_FORMAT_JSON,
	    config->log_level, wants_colour());
}

/* A secret of ours that is kept in the data folder; *${ret} is NULL if there is
 * none. */
static int
read_kept(const char *data_dir, const char *name, char **ret, struct err *err)
{
	char *path = mem_printf("%s/%s", data_dir, name);
	struct buf text = BUF_INIT;
	struct err why = ERR_INIT;
	int rc = 0;

	*ret = NULL;
	if (file_read(path, KEPT_MAX, &text, &why) == 0) {
		while (text.len > 0 && text.data[text.len - 1] == '\n')
			text.data[--text.len] = '\0';
		if (text.len > 0)
			*ret = buf_take(&text);
	} else if (why.code != ERR_NOT_FOUND) {
		if (err != NULL)
			*err = why;
		rc = -1;
	}
	buf_free(&text);
	free(path);
	return rc;
}

static int
keep(const char *data_dir, const char *name, const char *value, struct err *err)
{
	char *path = mem_printf("%s/%s", data_dir, name);
	int rc = file_replace(path, value, strlen(value), 0600, err);

	free(path);
	return rc;
}

/* The one that is kept; else a new one, if it is to be made. */
static int
get_kept(const char *data_dir, const char *name, int make, char **ret,
    struct err *err)
{
	char hex[2 * KEPT_BYTES + 1], *value;

	if (read_kept(data_dir, name, &value, err) == -1)
		return -1;
	if (value == NULL && !make)
		return err_set(
		    err, ERR_NOT_FOUND, "there is no %s/%s", data_dir, name);
	if (value == NULL) {
		random_hex(hex, KEPT_BYTES);
		if (keep(data_dir, name, hex, err) == -1)
			return -1;
		value = mem_strdup(hex);
	}
	*ret = value;
	return 0;
}

int
app_dev_secret(
    const char *data_dir, int make, char **ret_secret, struct err *err)
{
	return get_kept(data_dir, "dev-secret", make, ret_secret, err);
}

int
app_console_token(
    const struct config *config, int make, char **ret_token, struct err *err)
{
	char *kept;
	int rc = 0;

	if (config->console_token == NULL)
		return get_kept(
		    config->data, "console-token", make, ret_token, err);

	/* The commands look for it there. */
	if (make) {
		if (read_kept(config->data, "console-token", &kept, err) == -1)
			return -1;
		if (kept == NULL || strcmp(kept, config->console_token) != 0)
			rc = keep(config->data, "console-token",
			    config->console_token, err);
		free(kept);
	}
	if (rc == 0)
		*ret_token = mem_strdup(config->console_token);
	return rc;
}

int
app_proxy(const struct config *config, struct secrets *secrets,
    struct proxy **ret_proxy, struct err *err)
{
	if (proxy_parse(config->proxy, ret_proxy, err) == -1)
		return err_prefix(err, "--proxy");
	if (*ret_proxy == NULL)
		return 0;
	if ((*ret_proxy)->password != NULL)
		secrets_remember(secrets, (*ret_proxy)->password,
		    strlen((*ret_proxy)->password));
	log_info("outbound requests go through a proxy",
	    LOG_STR("proxy", (*ret_proxy)->url));
	return 0;
}

int
app_guard(const struct config *config, struct buf *ret_guard, struct err *err)
{
	struct guard *guard = guard_create();
	size_t i;
	int rc = 0;

	if (config->dev)
		guard_allow_loopback(guard);
	if (config->allow_private)
		guard_allow_private(guard);
	/* The console's may become another; workers are told when it is known.
	 */
	if (config->listen.port != 0)
		guard_refuse_listener(guard, config->listen.port);
	for (i = 0; i < config->allow_hosts.n && rc == 0; i++) {
		rc = guard_allow_host(guard, config->allow_hosts.items[i], err);
		if (rc == -1)
			(void)err_prefix(err, "--allow-host");
	}
	guard_put(guard, ret_guard);
	guard_free(guard);
	return rc;
}
