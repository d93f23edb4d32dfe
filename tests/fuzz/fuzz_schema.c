/*
 * The first line is a schema, the rest a value.  Whatever they are: no crash,
 * no long work, the answer is the same twice, and a refusal comes with a
 * message that a terminal can show.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#include "schema/schema.h"
#include "json/jdoc.h"
#include "json/jpath.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int truth)
{
	if (!truth)
		abort();
}

static void
require_visible(const char *s, size_t max)
{
	size_t n = strlen(s), i;

	require(n > 0 && n < max);
	for (i = 0; i < n; i++)
		require((unsigned char)s[i] >= 0x20 && s[i] != 0x7F);
	for (i = 0; i < n; i += str_utf8_len(s + i, n - i))
		require(str_utf8_len(s + i, n - i) > 0);
}

static void
check(const struct schema *schema, const struct jval *value)
{
	struct schema_violation violation;
	struct err err;
	size_t n;

	memset(&violation, 0, sizeof(violation));
	if (schema_check(schema, value, &violation) == 0) {
		require(schema_check(schema, value, NULL) == 0);
		return;
	}
	require(schema_check(schema, value, NULL) == -1);
	require_visible(violation.message, sizeof(violation.message));
	n = strlen(violation.pointer);
	require(n < sizeof(violation.pointer));
	require(n == 0 || violation.pointer[0] == '/');

	/* The pointer leads there, unless it was cut or something is missing.
	 */
	if (n + 4 < sizeof(violation.pointer) &&
	    strstr(violation.message, "is missing") == NULL &&
	    memchr(violation.pointer, ' ', n) == NULL)
		require(
		    jpath_get(value, str_of(violation.pointer), &err) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *line;
	struct jdoc doc = {0}, value = {0};
	struct schema *schema;
	struct err err = ERR_INIT;
	size_t n;

	line = size > 0 ? memchr(text, '\n', size) : NULL;
	n = line != NULL ? (size_t)(line - text) : size;
	if (jdoc_parse(&doc, text, n, NULL, &err) == -1)
		goto out;
	if (schema_compile(jdoc_root(&doc), jdoc_root(&doc), &schema, &err) ==
	    -1) {
		require(err.code == ERR_INVALID);
		require(err.msg[0] != '\0');
		goto out;
	}
	if (line != NULL &&
	    jdoc_parse(&value, line + 1, size - n - 1, NULL, &err) == 0)
		check(schema, jdoc_root(&value));
	check(schema, jdoc_root(&doc));
	schema_free(schema);

out:
	jdoc_free(&doc);
	jdoc_free(&value);
	return 0;
}
