#ifndef NET_HTTPC_H_
#define NET_HTTPC_H_

/*
 * One HTTP call that is waited for: for the command line, which has nothing
 * else to do.  A person says where it goes, so any address may be reached; no
 * redirects are followed, and no proxy is taken from the environment.
 *
 * Floor: 2 (net).  May include base/, crypto/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

struct err;
struct proxy;

struct httpc_request {
	const char *method; /* NULL: "GET". */
	const char *url;
	const char *const *headers; /* "Name: value" */
	size_t nheaders;
	struct str body;           /* data NULL: none. */
	uint64_t timeout_ms;       /* 0 = 10 s. */
	size_t max_bytes;          /* Of the answer's body; 0 = 64 MiB. */
	const struct proxy *proxy; /* NULL: none. */
};

struct httpc_answer {
	unsigned int status;
	struct buf headers; /* "Name: value\n" lines. */
	struct buf body;
};

/**
 * httpc_call(request, ret_answer, err):
 * Make a call, and wait for all of its answer.
 *
 * Returns:   0 whatever the status, or -1 if there was no whole answer.
 * Errors:    ERR_INVALID      not an http or https URL, or not HTTP;
 *            ERR_RESOLVE      no such host;
 *            ERR_CONNECT      nobody listens there;
 *            ERR_TLS          no trusted connection;
 *            ERR_TIMEOUT      not in time;
 *            ERR_TOO_LARGE    longer than max_bytes.
 * Ownership: borrows ${request}; the caller frees with httpc_answer_free().
 * Thread:    any; blocks.
 */
int httpc_call(const struct httpc_request *request,
    struct httpc_answer *ret_answer, struct err *err) ATTR_MUSTCHECK;

void httpc_answer_free(struct httpc_answer *answer);

/* Takes a piece of an answer; what is not 0 ends the call. */
typedef int httpc_piece_cb(void *cookie, struct str piece);

/**
 * httpc_stream(request, piece, cookie, ret_status, err):
 * Make a call whose answer has no end, and hand it on as it comes.  Only url
 * and headers of ${request} count: a proxy does not.  It is over when the peer
 * ends it, when nothing came for a minute, or when ${piece} says so.
 *
 * Returns:   0 when the peer or ${piece} has ended it, or -1.
 * Errors:    as httpc_call(); *${ret_status} is 0 if there was no answer.
 * Thread:    any; blocks.
 */
int httpc_stream(const struct httpc_request *request, httpc_piece_cb *piece,
    void *cookie, unsigned int *ret_status, struct err *err) ATTR_MUSTCHECK;

#endif /* !NET_HTTPC_H_ */
