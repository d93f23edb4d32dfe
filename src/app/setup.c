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

#include "app/app.h"

/* Bytes of randomness in a development secret. */
#define DEV_SECRET_BYTES 32
#define DEV_SECRET_MAX 4096

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

int
app_dev_secret(
    const char *data_dir, int make, char **ret_secret, struct err *err)
{
	char *path = mem_printf("%s/dev-secret", data_dir);
	char hex[2 * DEV_SECRET_BYTES + 1];
	struct buf text = BUF_INIT;
	struct err why = ERR_INIT;
	int rc = -1;

	if (file_read(path, DEV_SECRET_MAX, &text, &why) == 0) {
		while (text.len > 0 && text.data[text.len - 1] == '\n')
			text.data[--text.len] = '\0';
	} else if (why.code != ERR_NOT_FOUND || !make) {
		if (err != NULL)
			*err = why;
		goto out;
	}
	if (text.len == 0) {
		random_hex(hex, DEV_SECRET_BYTES);
		hex[sizeof(hex) - 1] = '\0';
		if (file_replace(path, hex, strlen(hex), 0600, err) == -1)
			goto out;
		buf_puts(&text, hex);
	}
	*ret_secret = buf_take(&text);
	rc = 0;
out:
	buf_free(&text);
	free(path);
	return rc;
}
