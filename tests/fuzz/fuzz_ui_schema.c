/*
 * What a script has declared, as a worker tells it: JSON, or something else.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "sentry/ui_schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_strndup((const char *)data, size);
	const struct ui_script script = {"scripts/x.lua", text};
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	(void)ui_schema(&script, 1, "/i/x", &out);
	(void)!ui_conflict(&script, &script, 1, &err);
	(void)ui_serves(text, STR("options/service"));
	(void)ui_serves(text, STR("alert-rule-action"));
	buf_free(&out);
	free(text);
	return 0;
}
