#ifndef NET_HTTPD_H_
#define NET_HTTPD_H_

/*
 * An HTTP/1.1 server on one loop: evhttp, with what it leaves open closed once
 * for every route.
 *
 * A gate looks at the bytes before evhttp does.  It answers by itself, as JSON
 * `{"error":code,"message":...}`, and closes:
 *
 * - 400 bad_request: framing that two parsers could read differently (two
 *   lengths, one that is not digits, a length and a transfer coding, a coding
 *   other than `chunked`, a space before a colon, folded lines, a bare CR or
 *   LF, NUL, a missing or second Host, chunk extensions, trailers);
 * - 408 timeout: not complete in time from its first byte on, however the
 *   bytes trickle in;
 * - 413 too_large: a body beyond the limit, before it is read;
 * - 503 overloaded: too many connections;
 * - 417 expectation_failed, 431 headers_too_large, 501 not_implemented, 505
 *   version_not_supported.
 *
 * Floor: 2 (net).  May include base/, crypto/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

struct err;
struct httpd;
struct httpd_request;
struct loop;
struct tls_server;

enum httpd_method {
	HTTPD_GET,
	HTTPD_HEAD,
	HTTPD_POST,
	HTTPD_PUT,
	HTTPD_DELETE,
	HTTPD_OPTIONS,
	HTTPD_PATCH,
	HTTPD_TRACE,
	HTTPD_OTHER /* Only ever seen by a httpd_route_cb. */
};

struct httpd_header {
	const char *name;
	const char *value;
};

/* What a request is given to: it answers by httpd_reply(), now or later. */
typedef void httpd_handler_cb(struct httpd_request *req, void *cookie);

/*
 * Whether there is such a route, for requests that the gate refuses anyway (too
 * large, an unknown method): 0 if there is, else 404, or 405 and what is
 * allowed there.
 */
typedef int httpd_route_cb(enum httpd_method method, struct str path,
    const char **ret_allow, void *cookie);

struct httpd_options {
	size_t max_connections;      /* 0 = 1024. */
	size_t max_headers;          /* Request line and headers, bytes;
				      * 0 = 16 KiB. */
	size_t max_body;             /* Bytes; 0 = 1 MiB. */
	uint64_t request_timeout_ms; /* From a request's first byte to its last;
				      * also for the reply to be taken.
				      * 0 = 10 s. */
	uint64_t idle_timeout_ms;    /* Between requests; 0 = 75 s. */
	struct tls_server *tls;      /* NULL: plain. */
	httpd_handler_cb *handle;
	httpd_route_cb *route; /* May be NULL. */
	void *cookie;          /* Of both. */
};

struct httpd_stats {
	uint64_t connections; /* Accepted so far. */
	uint64_t requests;    /* Given to the handler. */
	uint64_t refused;     /* Answered by the gate. */
	size_t open;          /* Connections now. */
	size_t busy;          /* Of those, with a request on its way. */
};

/**
 * httpd_create(loop, fd, options, ret_httpd, err):
 * Serve the listening socket ${fd}.
 *
 * Errors:    ERR_UNAVAILABLE  no memory or descriptors.
 * Ownership: consumes ${fd}; borrows ${options}, keeps options->tls and
 *            options->cookie; the caller frees with httpd_free().
 * Thread:    the loop's, or any before the loop runs; so for all of the below.
 */
int httpd_create(struct loop *loop, int fd, const struct httpd_options *options,
    struct httpd **ret_httpd, struct err *err) ATTR_MUSTCHECK;

/**
 * httpd_free(httpd):
 * Close every connection.  Requests that were not answered may still be, into
 * nothing, as long as the loop is there.
 */
void httpd_free(struct httpd *httpd);

/**
 * httpd_stop_accepting(httpd):
 * Take no new connection, close the idle ones, and every other one after its
 * reply.
 */
void httpd_stop_accepting(struct httpd *httpd);

struct httpd_stats httpd_stats(const struct httpd *httpd);

/* ---- a request -------------------------------------------------------------
 * Everything is borrowed from the request, and valid until it is answered, also
 * if the client is gone by then.
 */

enum httpd_method httpd_method(const struct httpd_request *req);

/* Without the query, not decoded; it begins with a slash. */
struct str httpd_path(const struct httpd_request *req);

/* Behind the question mark; data is NULL without one. */
struct str httpd_query(const struct httpd_request *req);

/* All of it, contiguous. */
struct str httpd_body(const struct httpd_request *req);

/* The value of the first header of that name, in any case; NULL if none. */
const char *httpd_header(const struct httpd_request *req, const char *name);

/* The header behind ${at} (NULL: the first), or NULL, as they were sent. */
const void *httpd_next_header(const struct httpd_request *req, const void *at,
    struct httpd_header *ret_header);

/* The address of the peer, without its port. */
const char *httpd_peer(const struct httpd_request *req);

/**
 * httpd_reply(req, status, headers, n, body):
 * Answer.  Content-Length and Date are put in; Content-Type is `${headers}`'
 * business.
 *
 * Ownership: consumes ${req}; borrows the rest.
 * Thread:    the loop's.
 */
void httpd_reply(struct httpd_request *req, int status,
    const struct httpd_header *headers, size_t n, struct str body);

/**
 * httpd_hang_up(req):
 * Close the connection without an answer, as if the network had failed.
 *
 * Ownership: consumes ${req}.
 */
void httpd_hang_up(struct httpd_request *req);

/* Answer with a body that is JSON. */
void httpd_reply_json(struct httpd_request *req, int status, struct str body);

/* Answer `{"error":code,"message":...}`; a NULL ${message} is left out. */
void httpd_reply_error(struct httpd_request *req, int status, const char *code,
    const char *message);

/* Answer 405 with the header Allow. */
void httpd_reply_not_allowed(struct httpd_request *req, const char *allow);

/* ---- an answer without an end (server-sent events) ------------------------
 */

/**
 * httpd_stream_begin(req, headers, n, gone, cookie):
 * Begin a 200 whose body comes in pieces.
 *
 * Ownership: ${req} stays the caller's until httpd_stream_end(), or until
 *            ${gone} is called, once, when the client is gone.
 */
void httpd_stream_begin(struct httpd_request *req,
    const struct httpd_header *headers, size_t n,
    void (*gone)(struct httpd_request *req, void *cookie), void *cookie);

/* Send a piece.  Returns the bytes that the client has not taken yet: stop, or
 * end the stream, when they become many. */
size_t httpd_stream_put(struct httpd_request *req, struct str piece);

/* Ownership: consumes ${req}. */
void httpd_stream_end(struct httpd_request *req);

#endif /* !NET_HTTPD_H_ */
