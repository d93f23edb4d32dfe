/* Whatever a script file holds, lint ends, and names places that exist. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#include "catalog/catalog.h"
#include "lint/lint.h"
#include "lint/lint_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
report(void *cookie, unsigned int line, unsigned int column, const char *code,
    const char *message)
{
	const struct str *source = cookie;
	size_t i, lines = 1;

	for (i = 0; i < source->len; i++)
		lines += source->data[i] == '\n' || source->data[i] == '\r';
	if (code == NULL || line < 1 || line > lines || column < 1 ||
	    column > source->len || strlen(message) < 10)
		abort();
}

static void
found(void *cookie, struct str name)
{
	const struct str *source = cookie;

	if (name.data < source->data ||
	    name.data + name.len > source->data + source->len)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const globals[] = {"print", "http", "log", "json"};
	static const char *const handlers[] = {"on_issue", "on_error"};
	static struct catalog *catalog;
	struct lint_known known = {
	    globals, NELEMS(globals), handlers, NELEMS(handlers), NULL};
	struct str source = {(const char *)data, size};

	if (catalog == NULL && catalog_open(NULL, 0, &catalog, NULL) == -1)
		abort();
	known.events = lint_events_create(catalog);
	lint_check(source, &known, report, &source);
	lint_events_free(known.events);
	lint_globals(source, found, &source);
	return 0;
}
