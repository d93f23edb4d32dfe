#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/arena.h"

#define FIRST_BLOCK 4096
#define MAX_BLOCK (1024 * 1024)

struct arena_block {
	struct arena_block *next;
	size_t size; /* Bytes in data. */
	alignas(max_align_t) char data[];
};

void *
arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *b;
	size_t want;
	char *p;

	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (arena->blocks == NULL || (size_t)(arena->end - arena->at) < size) {
		want = arena->blocks == NULL ? FIRST_BLOCK
					     : arena->blocks->size * 2;
		if (want > MAX_BLOCK)
			want = MAX_BLOCK;
		if (want < size)
			want = size;
		b = mem_alloc(sizeof(*b) + want);
		b->size = want;
		b->next = arena->blocks;
		arena->blocks = b;
		arena->at = b->data;
		arena->end = b->data + want;
	}
	p = arena->at;
	arena->at += size;
	return p;
}

void *
arena_zalloc(struct arena *arena, size_t size)
{
	return memset(arena_alloc(arena, size), 0, size);
}

char *
arena_strndup(struct arena *arena, const char *s, size_t len)
{
	char *p = arena_alloc(arena, len + 1);

	if (len > 0)
		(void)memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

void
arena_reset(struct arena *arena)
{
	struct arena_block *b, *next, *keep = arena->blocks;

	/* Blocks grow, so the newest is the largest but for odd big pieces. */
	for (b = arena->blocks; b != NULL; b = b->next) {
		if (b->size > keep->size)
			keep = b;
	}
	for (b = arena->blocks; b != NULL; b = next) {
		next = b->next;
		if (b != keep)
			free(b);
	}
	arena->blocks = keep;
	if (keep != NULL) {
		keep->next = NULL;
		arena->at = keep->data;
		arena->end = keep->data + keep->size;
	}
}

void
arena_free(struct arena *arena)
{
	struct arena_block *b, *next;

	for (b = arena->blocks; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	(void)memset(arena, 0, sizeof(*arena));
}
