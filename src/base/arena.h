#ifndef BASE_ARENA_H_
#define BASE_ARENA_H_

/*
 * Memory that is given back all at once: blocks that double in size, from
 * which pieces are cut one behind the other.
 *
 * Floor: 0 (base).
 */

#include <stddef.h>

struct arena_block;

/* Embedded in its owner; all zero is an empty arena. */
struct arena {
	struct arena_block *blocks; /* The newest first. */
	char *at;                   /* Next free byte of the newest. */
	char *end;
};

/**
 * arena_alloc(arena, size):
 * Return ${size} bytes, aligned for any type, not zeroed.
 *
 * Ownership: the arena's, until arena_reset() or arena_free().
 * Thread:    one at a time.
 */
void *arena_alloc(struct arena *arena, size_t size);

/* As arena_alloc(), zeroed. */
void *arena_zalloc(struct arena *arena, size_t size);

/* A copy of ${len} bytes with a NUL behind. */
char *arena_strndup(struct arena *arena, const char *s, size_t len);

/**
 * arena_reset(arena):
 * Forget every piece, but keep the largest block for the next round.
 */
void arena_reset(struct arena *arena);

/* Give everything back; the arena is empty and can be used again. */
void arena_free(struct arena *arena);

#endif /* !BASE_ARENA_H_ */
