#include <stdlib.h>
#include <string.h>

#include "script/lalloc.h"

#define STEP 16U        /* Sizes are rounded up to a multiple of it. */
#define SMALL 256U      /* The largest size that has a list. */
#define KEPT (4U << 20) /* Bytes on all lists. */

/* A block on its list. */
struct block {
	struct block *next;
};

static struct block *lists[SMALL / STEP + 1]; /* By size in steps. */
static size_t kept_bytes;

/* Where addresses are watched, every block is the allocator's own. */
#if defined(__SANITIZE_ADDRESS__)
static const int watched = 1;
#else
static const int watched = 0;
#endif

static size_t
steps_of(size_t size)
{
	return (size + STEP - 1) / STEP;
}

static void *
get(size_t size)
{
	size_t steps = steps_of(size);
	struct block *b;

	if (size > SMALL || watched)
		return malloc(size);
	b = lists[steps];
	if (b == NULL)
		return malloc(steps * STEP);
	lists[steps] = b->next;
	kept_bytes -= steps * STEP;
	return b;
}

static void
put(void *ptr, size_t size)
{
	size_t steps = steps_of(size);
	struct block *b = ptr;

	if (ptr == NULL)
		return;
	if (size > SMALL || watched || kept_bytes >= KEPT) {
		free(ptr);
		return;
	}
	b->next = lists[steps];
	lists[steps] = b;
	kept_bytes += steps * STEP;
}

void *
lalloc(void *ptr, size_t osize, size_t nsize)
{
	void *p;

	if (nsize == 0) {
		put(ptr, osize);
		return NULL;
	}
	if (ptr == NULL)
		return get(nsize);
	if (watched || (osize > SMALL && nsize > SMALL))
		return realloc(ptr, nsize);
	if (osize <= SMALL && nsize <= SMALL &&
	    steps_of(osize) == steps_of(nsize))
		return ptr;
	p = get(nsize);
	if (p == NULL)
		return NULL;
	(void)memcpy(p, ptr, osize < nsize ? osize : nsize);
	put(ptr, osize);
	return p;
}
