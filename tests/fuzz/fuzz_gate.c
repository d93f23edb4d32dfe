#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "net/httpd_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The gate must come to the same end however the bytes are cut. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct gate_chunks whole = {0}, bytes = {0};
	struct gate_verdict verdict = {0};
	struct gate_head head;
	size_t line = 0, i;
	ptrdiff_t n, m = 0;
	int a, b = 0;

	n = gate_scan(text, size, &line, &verdict);
	for (i = 1, line = 0; i <= size && m == 0; i++)
		m = gate_scan(text, i, &line, &verdict);
	assert(n == m);
	if (n > 0 && gate_parse(text, (size_t)n, &head, &verdict) == 0) {
		assert(head.path.len <= (size_t)n);
		assert(!head.chunked || head.length == 0);
	}
	a = gate_chunks(&whole, text, size, 1000, &verdict);
	for (i = 0; i < size && b == 0; i++)
		b = gate_chunks(&bytes, text + i, 1, 1000, &verdict);
	assert(a == b);
	assert(whole.total <= 1000 || a == -1);
	return 0;
}
