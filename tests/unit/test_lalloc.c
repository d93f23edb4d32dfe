#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "script/lalloc.h"

#define BLOCKS 2000

static unsigned int seed = 7;

static size_t
chance(size_t n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % n;
}

Test(lalloc, keeps_what_is_in_a_block_whatever_its_size_becomes)
{
	static struct {
		unsigned char *ptr;
		size_t size;
	} blocks[BLOCKS];
	size_t i, k, n, size;

	for (n = 0; n < 200000; n++) {
		i = chance(BLOCKS);
		size = chance(3) == 0 ? 0 : 1 + chance(600);
		blocks[i].ptr = lalloc(blocks[i].ptr, blocks[i].size, size);
		cr_assert_eq(blocks[i].ptr == NULL, size == 0);
		cr_assert_eq((size_t)blocks[i].ptr % 16, 0, "for any type");
		for (k = 0; k < size && k < blocks[i].size; k++)
			cr_assert_eq(blocks[i].ptr[k], (unsigned char)i);
		if (size > 0)
			(void)memset(blocks[i].ptr, (unsigned char)i, size);
		blocks[i].size = size;
	}
	for (i = 0; i < BLOCKS; i++)
		(void)lalloc(blocks[i].ptr, blocks[i].size, 0);
}

Test(lalloc, frees_nothing_where_there_is_nothing)
{
	cr_assert_null(lalloc(NULL, 0, 0));
}

#if !defined(__SANITIZE_ADDRESS__)
Test(lalloc, gives_a_block_again_for_its_size)
{
	void *first = lalloc(NULL, 0, 40), *second;

	(void)lalloc(first, 40, 0);
	second = lalloc(NULL, 0, 48);
	cr_assert_eq(second, first, "both are 48 bytes long");
	cr_assert_eq(lalloc(second, 48, 33), second);
	(void)lalloc(second, 33, 0);
}
#endif
