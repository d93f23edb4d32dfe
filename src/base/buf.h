#ifndef BASE_BUF_H_
#define BASE_BUF_H_

/*
 * A growing run of bytes.  A NUL is kept behind the last one, so that a buf of
 * text is a C string as well.
 *
 * Floor: 0 (base).
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct buf {
	char *
	    data; /* NULL while nothing was ever put in; else NUL behind len. */
	size_t len;
	size_t cap;
};

#define BUF_INIT                                                               \
	{                                                                      \
		NULL, 0, 0                                                     \
	}

/**
 * buf_free(buf), buf_reset(buf):
 * Give the memory back and leave an empty buf; buf_reset() keeps the memory.
 */
void buf_free(struct buf *buf);
void buf_reset(struct buf *buf);

/**
 * buf_reserve(buf, n):
 * Return room for ${n} more bytes behind the last, which the caller may fill
 * and then count with buf->len += n.
 */
char *buf_reserve(struct buf *buf, size_t n);

/**
 * buf_put(buf, data, len), buf_puts(buf, s), buf_putc(buf, c):
 * Append bytes, text, one byte.
 *
 * Ownership: borrows the data.
 */
void buf_put(struct buf *buf, const void *data, size_t len);
void buf_puts(struct buf *buf, const char *s);
void buf_putc(struct buf *buf, char c);

/**
 * buf_printf(buf, fmt, ...):
 * Append formatted text.
 */
void buf_printf(struct buf *buf, const char *fmt, ...) ATTR_PRINTF(2, 3);

/**
 * buf_forget(buf, at):
 * The first *${at} bytes have been used: give their room to what will come,
 * once it is worth moving the rest, and set *${at} to where the rest is then. A
 * queue that never gets empty keeps to about twice its content.
 */
void buf_forget(struct buf *buf, size_t *at);

/**
 * buf_text(buf):
 * The content as a C string; "" if there is none.
 *
 * Ownership: borrowed from ${buf}, until it changes.
 */
const char *buf_text(const struct buf *buf);

/**
 * buf_take(buf):
 * Hand over the content as a C string, and leave an empty buf.
 *
 * Ownership: the caller frees with free().
 */
char *buf_take(struct buf *buf);

#endif /* !BASE_BUF_H_ */
