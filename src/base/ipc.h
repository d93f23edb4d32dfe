#ifndef BASE_IPC_H_
#define BASE_IPC_H_

/*
 * Framed messages over a stream socket: a header of 16 bytes (length of the
 * payload, type, id; host byte order, both ends are the same binary) and the
 * payload, which the pack_* functions write and the unpack_* functions read.
 *
 * An unpack reads what a worker sent, and a worker runs strangers' code: every
 * length is checked, and a short or overlong payload makes it fail for good.
 *
 * Floor: 0 (base).
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct err;

#define IPC_HEADER_SIZE 16

/* No frame is longer: the largest body, a script's logs and some room. */
#define IPC_MAX_PAYLOAD (80U << 20)

struct ipc_frame {
	uint32_t type;
	uint64_t id;
	struct str payload; /* Borrowed from the input. */
};

/**
 * ipc_begin(out, type, id), ipc_end(out, at):
 * Append a frame to ${out}: ipc_begin() returns where it begins, pack_*()
 * append its payload, ipc_end() fills in the length.
 */
size_t ipc_begin(struct buf *out, uint32_t type, uint64_t id);
void ipc_end(struct buf *out, size_t at);

/**
 * ipc_next(in, len, ret_frame, err):
 * Look for a whole frame at the start of the ${len} bytes at ${in}.
 *
 * Returns:   its size in bytes with the header; 0 if there is not yet a whole
 *            one; -1 if the stream is broken.
 * Errors:    ERR_INVALID      longer than IPC_MAX_PAYLOAD.
 */
ptrdiff_t ipc_next(const char *in, size_t len, struct ipc_frame *ret_frame,
    struct err *err) ATTR_MUSTCHECK;

/**
 * ipc_wanted(in, len):
 * How many bytes the frame that begins at ${in} has in all, or
 * IPC_HEADER_SIZE as long as its header is not complete.
 */
size_t ipc_wanted(const char *in, size_t len);

/* Writing: a number, a run of bytes, text (NULL is allowed and kept). */
void pack_u64(struct buf *out, uint64_t v);
void pack_str(struct buf *out, struct str s);
void pack_text(struct buf *out, const char *s);

/* Reading: all zero but the two is a fresh one. */
struct unpack {
	const char *at;
	const char *end;
	int failed; /* Something did not fit; every result since is empty. */
};

/* Begin to read ${payload}. */
struct unpack unpack_begin(struct str payload);

uint64_t unpack_u64(struct unpack *u);

/* Ownership: borrowed from the payload; data is NULL if NULL was packed. */
struct str unpack_str(struct unpack *u);

/* A copy with a NUL, or NULL.  Ownership: the caller frees with free(). */
char *unpack_text(struct unpack *u);

/* Returns 0 if everything was there and nothing is left, else -1. */
int unpack_end(const struct unpack *u) ATTR_MUSTCHECK;

#endif /* !BASE_IPC_H_ */
