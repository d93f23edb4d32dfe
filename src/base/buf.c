#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/buf.h"

void
buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf)BUF_INIT;
}

void
buf_reset(struct buf *buf)
{
	buf->len = 0;
	if (buf->data != NULL)
		buf->data[0] = '\0';
}

char *
buf_reserve(struct buf *buf, size_t n)
{
	if (buf->cap - buf->len < n + 1)
		buf->data = mem_grow(buf->data, &buf->cap, buf->len + n + 1, 1);
	return buf->data + buf->len;
}

void
buf_put(struct buf *buf, const void *data, size_t len)
{
	char *to = buf_reserve(buf, len);

	if (len > 0)
		(void)memcpy(to, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void
buf_puts(struct buf *buf, const char *s)
{
	buf_put(buf, s, strlen(s));
}

void
buf_putc(struct buf *buf, char c)
{
	buf_put(buf, &c, 1);
}

void
buf_printf(struct buf *buf, const char *fmt, ...)
{
	char *at = buf_reserve(buf, 64);
	size_t room = buf->cap - buf->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(at, room, fmt, ap);
	va_end(ap);
	if (n < 0) {
		*at = '\0';
		return;
	}
	if ((size_t)n >= room) {
		at = buf_reserve(buf, (size_t)n);
		va_start(ap, fmt);
		(void)vsnprintf(at, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	buf->len += (size_t)n;
}

void
buf_forget(struct buf *buf, size_t *at)
{
	size_t left = buf->len - *at;

	if (left > 0 && *at < left)
		return;
	if (left > 0)
		(void)memmove(buf->data, buf->data + *at, left);
	buf->len = left;
	if (buf->data != NULL)
		buf->data[left] = '\0';
	*at = 0;
}

const char *
buf_text(const struct buf *buf)
{
	return buf->data == NULL ? "" : buf->data;
}

char *
buf_take(struct buf *buf)
{
	char *data = buf->data == NULL ? mem_strdup("") : buf->data;

	*buf = (struct buf)BUF_INIT;
	return data;
}
