#ifndef BASE_ERR_H_
#define BASE_ERR_H_

/*
 * One error value for the whole program: what went wrong, in a form that a log
 * line, a command's message, and a Lua `nil, msg, code` triple can all be made
 * from.
 *
 * Floor: 0 (base).
 */

#include "base/compiler.h"

/*
 * Stable codes.  They are public: Lua handlers see them as strings, so a code
 * may be added but never renamed.  Keep err_code_name() in step.
 */
enum err_code {
	ERR_NONE = 0,
	ERR_INVALID,     /* The caller or the peer sent something malformed. */
	ERR_UNAUTH,      /* A signature, token, or password did not match. */
	ERR_NOT_FOUND,   /* There is no such thing. */
	ERR_TOO_LARGE,   /* A limit on size or depth was reached. */
	ERR_TIMEOUT,     /* A deadline passed. */
	ERR_UNAVAILABLE, /* Try again: the peer, disk, or lock is busy. */
	ERR_RESOLVE,     /* A host name could not be resolved. */
	ERR_CONNECT,     /* Nobody listens, or the network is down. */
	ERR_TLS,         /* No trusted, encrypted connection. */
	ERR_BLOCKED,     /* A guard refused the target. */
	ERR_INTERNAL,    /* A bug of ours. */
};

/* Filled in by the function that fails; owned by the caller (on its stack). */
struct err {
	enum err_code code;
	int sys_errno; /* errno at the failure, or 0. */
	char msg[400]; /* NUL-terminated, no trailing newline or period. */
};

#define ERR_INIT                                                               \
	{                                                                      \
		.code = ERR_NONE, 0, ""                                        \
	}

/**
 * err_set(err, code, fmt, ...):
 * Fill in ${err} and return -1, so that a caller can write
 * `return err_set(err, ERR_INVALID, "...")`.  Do nothing but return -1 if
 * ${err} is NULL.  Record errno as it was on entry; leave errno unchanged.
 * A message that is too long is cut, at a character's boundary.
 *
 * Thread:    any.
 */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
    ATTR_PRINTF(3, 4);

/**
 * err_prefix(err, fmt, ...):
 * Put "<text>: " before the message of ${err}: where it happened.  Return -1.
 *
 * Thread:    any.
 */
int err_prefix(struct err *err, const char *fmt, ...) ATTR_PRINTF(2, 3);

/**
 * err_code_name(code):
 * Return the public name of ${code}, e.g. "timeout", as seen from Lua.
 *
 * Ownership: static storage; do not free.
 * Thread:    any.
 */
const char *err_code_name(enum err_code code);

#endif /* !BASE_ERR_H_ */
