#include <stdlib.h>
#include <string.h>

#include "base/form.h"

void
form_encode(struct buf *out, struct str s)
{
	size_t i;
	char c;

	for (i = 0; i < s.len; i++) {
		c = s.data[i];
		if ((c >= '0' && c <= '9') ||
		    ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		    (c != '\0' && strchr("-._~", c) != NULL))
			buf_putc(out, c);
		else
			buf_printf(out, "%%%02X", (unsigned char)c);
	}
}

void
form_put(struct buf *out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	if (out->len > 0 && strchr("?&", out->data[out->len - 1]) == NULL)
		buf_putc(out, '&');
	form_encode(out, str_of(name));
	buf_putc(out, '=');
	form_encode(out, str_of(value));
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
form_decode(struct str s, int plus, struct buf *out)
{
	size_t i;
	int high, low;
	char c;

	buf_reset(out);
	for (i = 0; i < s.len; i++) {
		c = s.data[i];
		if (c == '+' && plus) {
			c = ' ';
		} else if (c == '%') {
			if (i + 2 >= s.len)
				return -1;
			high = digit(s.data[i + 1]);
			low = digit(s.data[i + 2]);
			if (high == -1 || low == -1)
				return -1;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0')
			return -1;
		buf_putc(out, c);
	}
	return 0;
}

int
form_next(struct str *form, struct buf *name, struct buf *value)
{
	struct str part, first;
	const char *end, *equals;

	/* "a=1&&b=2" has nothing in between. */
	while (form->len > 0 && form->data[0] == '&') {
		form->data++;
		form->len--;
	}
	if (form->len == 0)
		return 0;
	end = memchr(form->data, '&', form->len);
	part = (struct str){
	    form->data, end == NULL ? form->len : (size_t)(end - form->data)};
	form->data += part.len;
	form->len -= part.len;

	equals = memchr(part.data, '=', part.len);
	first = (struct str){part.data,
	    equals == NULL ? part.len : (size_t)(equals - part.data)};
	if (form_decode(first, 1, name) == -1)
		return -1;
	if (equals == NULL) {
		buf_reset(value);
		return 1;
	}
	if (form_decode((struct str){equals + 1, part.len - first.len - 1}, 1,
		value) == -1)
		return -1;
	return 1;
}

char *
form_get(struct str form, const char *name)
{
	struct buf key = BUF_INIT, value = BUF_INIT;
	char *found = NULL;

	while (found == NULL && form_next(&form, &key, &value) == 1) {
		if (strcmp(buf_text(&key), name) == 0)
			found = buf_take(&value);
	}
	buf_free(&key);
	buf_free(&value);
	return found;
}
