/*
 * Documents of the user: YAML or JSON, references, schemas; and a sample of
 * each message that is found.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#include "catalog/asyncapi.h"
#include "catalog/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct asyncapi_message *m;
	struct asyncapi *doc;
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	size_t i, n;

	if (asyncapi_read(
		"x", (struct str){(const char *)data, size}, &doc, &err) == -1)
		return 0;
	m = asyncapi_messages(doc, &n);
	for (i = 0; i < n && i < 8; i++) {
		buf_reset(&out);
		(void)!sample_make(asyncapi_root(doc), &m[i],
		    m[i].nactions > 0 ? m[i].actions[0] : NULL, &out, &err);
	}
	buf_free(&out);
	asyncapi_free(doc);
	return 0;
}
