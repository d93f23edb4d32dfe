#ifndef SCRIPT_LALLOC_H_
#define SCRIPT_LALLOC_H_

/*
 * Memory for Lua, which says the size of what it gives back: small blocks, of
 * which an event has thousands, go onto a list of their size and come from it
 * again, without the allocator's own book-keeping.
 *
 * Floor: 4 (script).
 */

#include <stddef.h>

/**
 * lalloc(ptr, osize, nsize):
 * Make the block of ${osize} bytes at ${ptr} one of ${nsize}: as realloc(),
 * with a ${ptr} of NULL (and ${osize} 0) as malloc(), with a ${nsize} of 0 as
 * free().
 *
 * Returns:   the block, or NULL: there is no memory, and ${ptr} is as it was.
 * Ownership: consumes ${ptr} unless it fails; the caller frees with
 *            lalloc(ptr, nsize, 0).
 * Thread:    one in the process.
 */
void *lalloc(void *ptr, size_t osize, size_t nsize);

#endif /* !SCRIPT_LALLOC_H_ */
