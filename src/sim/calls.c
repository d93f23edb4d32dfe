#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"

#include "sim/calls.h"

struct calls {
	char *items[CALLS_MAX]; /* Number n is at n % CALLS_MAX. */
	uint64_t first;         /* Number of the oldest. */
	uint64_t next;          /* Number of the next. */
};

struct calls *
calls_create(void)
{
	struct calls *calls = mem_zalloc(sizeof(*calls));

	calls->first = calls->next = 1;
	return calls;
}

void
calls_free(struct calls *calls)
{
	if (calls == NULL)
		return;
	calls_clear(calls);
	free(calls);
}

uint64_t
calls_add(struct calls *calls, struct buf *json)
{
	struct buf item = BUF_INIT;
	char **place;

	if (calls->next - calls->first == CALLS_MAX)
		calls->first++;
	buf_printf(&item, "{\"n\":%llu,", (unsigned long long)calls->next);
	buf_put(&item, buf_text(json), json->len);
	buf_putc(&item, '}');
	buf_free(json);
	place = &calls->items[calls->next % CALLS_MAX];
	free(*place);
	*place = buf_take(&item);
	return calls->next++;
}

void
calls_put(const struct calls *calls, uint64_t after, struct buf *out)
{
	uint64_t n = after < calls->first ? calls->first : after + 1;
	int comma = 0;

	buf_puts(out, "{\"calls\":[");
	for (; n < calls->next; n++) {
		if (comma)
			buf_putc(out, ',');
		buf_puts(out, calls->items[n % CALLS_MAX]);
		comma = 1;
	}
	buf_puts(out, "]}");
}

void
calls_clear(struct calls *calls)
{
	size_t i;

	for (i = 0; i < CALLS_MAX; i++) {
		free(calls->items[i]);
		calls->items[i] = NULL;
	}
	calls->first = calls->next;
}
