#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#include "base/ipc.h"

/* Length of a NULL text on the wire. */
#define NO_TEXT UINT32_MAX

struct header {
	uint32_t len;
	uint32_t type;
	uint64_t id;
};

_Static_assert(sizeof(struct header) == IPC_HEADER_SIZE, "frame header");

size_t
ipc_begin(struct buf *out, uint32_t type, uint64_t id)
{
	struct header h = {0, type, id};
	size_t at = out->len;

	buf_put(out, &h, sizeof(h));
	return at;
}

void
ipc_end(struct buf *out, size_t at)
{
	uint32_t len = (uint32_t)(out->len - at - IPC_HEADER_SIZE);

	(void)memcpy(out->data + at, &len, sizeof(len));
}

size_t
ipc_wanted(const char *in, size_t len)
{
	uint32_t payload;

	if (len < IPC_HEADER_SIZE)
		return IPC_HEADER_SIZE;
	(void)memcpy(&payload, in, sizeof(payload));
	return IPC_HEADER_SIZE + (size_t)payload;
}

ptrdiff_t
ipc_next(
    const char *in, size_t len, struct ipc_frame *ret_frame, struct err *err)
{
	struct header h;

	if (len < sizeof(h))
		return 0;
	(void)memcpy(&h, in, sizeof(h));
	if (h.len > IPC_MAX_PAYLOAD)
		return err_set(err, ERR_INVALID,
		    "a message of %u bytes (type %u) is too long", h.len,
		    h.type);
	if (len - sizeof(h) < h.len)
		return 0;
	ret_frame->type = h.type;
	ret_frame->id = h.id;
	ret_frame->payload = (struct str){in + sizeof(h), h.len};
	return (ptrdiff_t)(sizeof(h) + h.len);
}

void
pack_u64(struct buf *out, uint64_t v)
{
	buf_put(out, &v, sizeof(v));
}

void
pack_str(struct buf *out, struct str s)
{
	uint32_t len = s.data == NULL ? NO_TEXT : (uint32_t)s.len;

	buf_put(out, &len, sizeof(len));
	if (s.data != NULL)
		buf_put(out, s.data, s.len);
}

void
pack_text(struct buf *out, const char *s)
{
	pack_str(out, str_of(s));
}

struct unpack
unpack_begin(struct str payload)
{
	return (struct unpack){payload.data, payload.data + payload.len, 0};
}

/* Move over ${n} bytes.  Return where they begin, or NULL. */
static const char *
take(struct unpack *u, size_t n)
{
	const char *p = u->at;

	if (u->failed || (size_t)(u->end - u->at) < n) {
		u->failed = 1;
		return NULL;
	}
	u->at += n;
	return p;
}

uint64_t
unpack_u64(struct unpack *u)
{
	const char *p = take(u, sizeof(uint64_t));
	uint64_t v = 0;

	if (p != NULL)
		(void)memcpy(&v, p, sizeof(v));
	return v;
}

struct str
unpack_str(struct unpack *u)
{
	const char *p = take(u, sizeof(uint32_t));
	uint32_t len;

	if (p == NULL)
		return (struct str){NULL, 0};
	(void)memcpy(&len, p, sizeof(len));
	if (len == NO_TEXT)
		return (struct str){NULL, 0};
	p = take(u, len);
	return (struct str){p, p == NULL ? 0 : len};
}

char *
unpack_text(struct unpack *u)
{
	struct str s = unpack_str(u);

	return s.data == NULL ? NULL : mem_strndup(s.data, s.len);
}

int
unpack_end(const struct unpack *u)
{
	return u->failed || u->at != u->end ? -1 : 0;
}
