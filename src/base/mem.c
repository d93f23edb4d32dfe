#include <limits.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#include "base/mem.h"

ATTR_NORETURN static void
out_of_memory(size_t size)
{
	(void)fprintf(stderr, "moonpost: out of memory (%zu bytes)\n", size);
	abort();
}

void
mem_keep(size_t bytes)
{
	int most = bytes > INT_MAX ? INT_MAX : (int)bytes;

	(void)mallopt(M_TRIM_THRESHOLD, most);
	(void)mallopt(M_MMAP_THRESHOLD, most / 4);
	(void)mallopt(M_TOP_PAD, most / 16);
}

void *
mem_alloc(size_t size)
{
	void *p = malloc(size == 0 ? 1 : size);

	if (p == NULL)
		out_of_memory(size);
	return p;
}

void *
mem_zalloc(size_t size)
{
	return mem_array(1, size);
}

void *
mem_array(size_t n, size_t size)
{
	void *p = calloc(n == 0 ? 1 : n, size == 0 ? 1 : size);

	if (p == NULL)
		out_of_memory(size);
	return p;
}

void *
mem_realloc(void *ptr, size_t size)
{
	void *p = realloc(ptr, size == 0 ? 1 : size);

	if (p == NULL)
		out_of_memory(size);
	return p;
}

void *
mem_grow(void *ptr, size_t *cap, size_t need, size_t size)
{
	size_t n = *cap;

	if (need <= n)
		return ptr;
	n += n / 2;
	if (n < need)
		n = need;
	if (n < 8)
		n = 8;
	if (n > SIZE_MAX / size)
		out_of_memory(SIZE_MAX);
	ptr = mem_realloc(ptr, n * size);
	*cap = n;
	return ptr;
}

char *
mem_strdup(const char *s)
{
	return s == NULL ? NULL : mem_strndup(s, strlen(s));
}

char *
mem_strndup(const char *s, size_t len)
{
	char *p = mem_alloc(len + 1);

	if (len > 0)
		(void)memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *
mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *p = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	if (n == -1)
		out_of_memory(0);
	return p;
}
