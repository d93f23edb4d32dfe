/*
 * A command line (an argument a line), or the table of a configuration file (as
 * JSON): what is accepted must keep to the ranges of the table of options, and
 * what is refused must say why.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#include "app/settings.h"
#include "config/config.h"
#include "config/option.h"
#include "json/jdoc.h"

#define MAX_ARGS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int truth)
{
	if (!truth)
		abort();
}

static int
take_table(struct config *config, const char *text, size_t len, struct err *err)
{
	struct jdoc doc = {0};
	int rc;

	rc = jdoc_parse(&doc, text, len, NULL, err);
	if (rc == 0)
		rc = settings_apply(config, jdoc_root(&doc), "fuzz", err);
	jdoc_free(&doc);
	return rc;
}

static int
take_args(struct config *config, char *text, struct err *err)
{
	char *args[MAX_ARGS + 1], **rest = NULL, *save = NULL, *arg;
	size_t n = 0, nrest;
	int rc;

	for (arg = strtok_r(text, "\n", &save); arg != NULL && n < MAX_ARGS;
	     arg = strtok_r(NULL, "\n", &save))
		args[n++] = arg;
	args[n] = NULL;
	rc = config_set_args(config, OPTION_FOR_ALL, args, &rest, &nrest, err);
	require(rc == -1 || nrest <= n);
	free(rest);
	return rc;
}

static void
require_ranges(const struct config *config)
{
	const struct option *option;
	uint64_t value;
	size_t i;

	for (i = 0; i < option_count; i++) {
		option = &option_table[i];
		if (option->type != OPTION_DURATION &&
		    option->type != OPTION_SIZE && option->type != OPTION_COUNT)
			continue;
		(void)memcpy(&value, (const char *)config + option->offset,
		    sizeof(value));
		require(value <= option->max);
		require(value >= option->min ||
			(value == 0 && (option->flags & OPTION_OR_OFF) != 0));
	}
	require(config->nintegrations >= 1);
	for (i = 0; i < config->nintegrations; i++)
		require(config->integrations[i].scripts != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = config_create();
	struct err err = ERR_INIT;
	char *text = mem_strndup((const char *)data, size);
	int rc;

	if (size > 0 && data[0] == '{')
		rc = take_table(config, text, size, &err);
	else
		rc = take_args(config, text, &err);
	if (rc == 0)
		rc = config_finish(config, &err);
	if (rc == 0)
		require_ranges(config);
	else
		require(err.code != ERR_NONE && err.msg[0] != '\0');
	config_free(config);
	free(text);
	return 0;
}
