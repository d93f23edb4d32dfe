/* What was JSON stays JSON, and no secret is left in it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "console/query.h"
#include "console/redact.h"
#include "crypto/secrets.h"
#include "json/jdoc.h"

#define SECRET "1234567"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
hide(void *cookie, struct buf *text)
{
	secrets_redact(cookie, text);
}

/* Any text is a query as well. */
static void
read_query(struct str query)
{
	struct query_filter filter;

	if (query_filter_parse(query, 0, &filter, NULL) == 0)
		query_filter_clear(&filter);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct secrets *secrets;
	struct jdoc doc = {0};
	struct buf out = BUF_INIT;

	read_query(text);
	if (jdoc_parse(&doc, text.data, text.len, NULL, NULL) == 0) {
		secrets = secrets_create(NULL);
		secrets_remember(secrets, SECRET, strlen(SECRET));
		redact_json(text, hide, secrets, &out);
		if (jdoc_parse(&doc, out.data, out.len, NULL, NULL) == -1 ||
		    memmem(out.data, out.len, SECRET, strlen(SECRET)) != NULL)
			abort();
		secrets_free(secrets);
	}
	buf_free(&out);
	jdoc_free(&doc);
	return 0;
}
