/* What parses must be written and parsed again to the same value. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

#include "json/jdoc.h"
#include "json/jwrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int truth)
{
	if (!truth)
		abort();
}

static void
require_utf8(struct str s)
{
	size_t n;

	for (; s.len > 0; s.data += n, s.len -= n) {
		n = str_utf8_len(s.data, s.len);
		require(n > 0);
	}
}

/* How deep ${v} is nested, by a walk that looks at everything. */
static unsigned int
depth_of(const struct jval *v)
{
	const struct jval *e;
	unsigned int depth, deepest = 0;
	uint32_t i;

	if (jval_kind(v) == JDOC_STRING)
		require_utf8(jval_str(v));
	if (jval_kind(v) < JDOC_ARRAY)
		return 0;
	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e)) {
		if (jval_kind(v) == JDOC_OBJECT) {
			require(jval_kind(e) == JDOC_STRING);
			require_utf8(jval_str(e));
			e++;
		}
		depth = depth_of(e);
		deepest = depth > deepest ? depth : deepest;
	}
	require(e == jval_next(v));
	return deepest + 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jdoc first = {0}, again = {0};
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	struct jwrite w;
	size_t offset = SIZE_MAX;
	unsigned int indent;

	if (jdoc_parse(&first, (const char *)data, size, &offset, &err) == -1) {
		require(offset <= size && err.code != ERR_NONE);
		goto out;
	}
	require(jval_next(jdoc_root(&first)) == first.tape + first.tape_len);
	require(depth_of(jdoc_root(&first)) <= JDOC_MAX_DEPTH);

	for (indent = 0; indent <= 1; indent++) {
		buf_reset(&out);
		w = jwrite_begin(&out, indent);
		jwrite_jval(&w, jdoc_root(&first));
		require(jdoc_parse(&again, out.data, out.len, NULL, &err) == 0);
		require(jdoc_equal(jdoc_root(&first), jdoc_root(&again)));
		require(first.tape_len == again.tape_len);
		require(
		    depth_of(jdoc_root(&first)) == depth_of(jdoc_root(&again)));
	}

out:
	jdoc_free(&first);
	jdoc_free(&again);
	buf_free(&out);
	return 0;
}
