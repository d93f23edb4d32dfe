#ifndef SCRIPT_HTTP_REQUEST_H_
#define SCRIPT_HTTP_REQUEST_H_

/*
 * A request as a script writes it, in one table of options, checked and in the
 * form that goes out.
 *
 * Floor: 4 (script), private.
 */

#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "base/buf.h"
#include "base/str.h"

/* All zero is an empty one. */
struct http_request {
	char method[16];
	struct buf url;
	char **headers; /* "Name: value" */
	size_t nheaders;
	size_t headers_cap;
	struct buf body;
	int has_body;
	size_t bytes; /* Of all of these, in C. */
	uint64_t timeout_ms;
	size_t max_bytes;
	unsigned int retries;
	unsigned int redirects;
	int idempotent; /* Sent twice, it does what it does once. */
};

void http_request_clear(struct http_request *request);

/**
 * http_request_read(L, options, method, url, ret):
 * Read the options in the table at ${options} (or nil).  ${method} and the
 * string at the index ${url} are given by the function; NULL and 0 stand for
 * the fields `method` and `url` of the table.
 *
 * Errors:    raises an error that names the option, also for an unknown one.
 * Ownership: what ${ret} holds then is for http_request_clear(), also after an
 *            error.
 * Lua stack: [-0, +0, v]
 */
void http_request_read(lua_State *L, int options, const char *method, int url,
    struct http_request *ret);

/* The value of the first header of that name (lower case) among "Name: value"
 * lines; data is NULL if there is none. */
struct str http_header_value(const struct buf *headers, const char *name);

/**
 * http_retry_after_ms(headers, now_unix_ms):
 * How long the Retry-After of an answer asks to wait (seconds, or a date).
 *
 * Returns:   ms; -1 if it does not ask, or not in a way that makes sense.
 */
int64_t http_retry_after_ms(const struct buf *headers, uint64_t now_unix_ms);

/* Append ${url} as it is kept in records: without what is before an '@' in its
 * authority, and cut. */
void http_put_url(struct buf *out, const struct buf *url);

#endif /* !SCRIPT_HTTP_REQUEST_H_ */
