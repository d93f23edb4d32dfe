#ifndef BASE_MEM_H_
#define BASE_MEM_H_

/*
 * Allocation that never returns NULL: on exhaustion the process says so and
 * aborts, and the durable store makes the restart safe.  Sizes which come from
 * outside must be checked against a limit BEFORE they reach these functions.
 * Lua memory does not come from here: see script/vm.c.
 *
 * Floor: 0 (base).
 */

#include <stddef.h>

/**
 * mem_keep(bytes):
 * Have the allocator keep up to about ${bytes} that are free for the next who
 * asks, where it would give them back to the system and fault them in again for
 * the next body.
 *
 * Thread:    any, before there are others.
 */
void mem_keep(size_t bytes);

/**
 * mem_alloc(size), mem_zalloc(size):
 * Return ${size} bytes; mem_zalloc() zeroes them.
 *
 * Ownership: the caller frees with free().
 * Thread:    any.
 */
void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);

/**
 * mem_array(n, size):
 * Return ${n} zeroed elements of ${size} bytes; abort if the product is more
 * than memory can be.
 *
 * Ownership: the caller frees with free().
 * Thread:    any.
 */
void *mem_array(size_t n, size_t size);

/**
 * mem_realloc(ptr, size):
 * Make the block at ${ptr} ${size} bytes long.
 *
 * Ownership: consumes ${ptr}; the caller frees the result with free().
 * Thread:    any.
 */
void *mem_realloc(void *ptr, size_t size);

/**
 * mem_grow(ptr, cap, need, size):
 * Make room for at least ${need} elements of ${size} bytes in the array at
 * ${ptr}, which has room for *${cap}; *${cap} grows by half at least, so that
 * appending one at a time costs constant time.
 *
 * Ownership: consumes ${ptr}; the caller frees the result with free().
 * Thread:    any.
 */
void *mem_grow(void *ptr, size_t *cap, size_t need, size_t size);

/**
 * mem_strdup(s), mem_strndup(s, len):
 * Copy text; mem_strdup(NULL) is NULL.  mem_strndup() copies exactly ${len}
 * bytes and adds a NUL.
 *
 * Ownership: the caller frees with free().
 * Thread:    any.
 */
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t len);

/**
 * mem_printf(fmt, ...):
 * Return formatted text.
 *
 * Ownership: the caller frees with free().
 * Thread:    any.
 */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* !BASE_MEM_H_ */
