#ifndef NET_FETCH_H_
#define NET_FETCH_H_

/*
 * Outbound HTTP that waits for nobody: libcurl's multi interface driven by an
 * event loop.  Connections are reused, HTTP/2 is spoken where the peer can, TLS
 * is verified with the system's roots, every address is asked of the guard, and
 * no proxy is taken from the environment.
 *
 * Floor: 2 (net).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

struct event_base;
struct fetch;
struct fetch_call;
struct fetch_request;
struct guard;
struct proxy;

/*
 * Who answers calls instead of the network, in tests of handlers.
 */
struct fetch_stand_in {
	void *cookie;
	/* A call has begun: later, not from within this, fetch_answer() ends
	 * it.  ${request} is borrowed. */
	void (*start)(void *cookie, struct fetch_call *call,
	    const struct fetch_request *request);
	/* It was cancelled, and is gone when this returns. */
	void (*cancel)(void *cookie, struct fetch_call *call);
};

struct fetch_options {
	struct event_base *base;
	/* NULL: no address is refused.  Where there is a proxy it is asked of
	 * every address that the name of a request has, before the proxy hears
	 * of it; the proxy's own may be any but a listener of moonpost's. */
	const struct guard *guard;
	const struct proxy *proxy; /* NULL: none. */
	/* At once to one host, and to all; what is beyond waits for its turn,
	 * within its timeout.  0: no limit. */
	long max_host_connections;
	long max_connections;
	long max_idle_connections; /* Kept for reuse. */
	/* NULL, or who answers; then the others do not matter. */
	const struct fetch_stand_in *stand_in;
};

/* What came of a call. */
struct fetch_result {
	unsigned int status; /* HTTP status; 0 if there was no whole answer. */
	struct err err;      /* Why not; ERR_NONE if there was one. */
	struct buf headers;  /* "Name: value\n" lines of the last answer. */
	struct buf body;
	uint64_t duration_ms;
};

/*
 * Called once when a call has ended, from the event loop, never from within
 * fetch_start(); the call is gone when it returns.  The callee may empty the
 * bufs of ${result} (buf_take()).
 */
typedef void fetch_done_cb(void *cookie, struct fetch_result *result);

/* Everything is copied by fetch_start(), but for a body that stays. */
struct fetch_request {
	const char *method; /* "GET", "POST", ... */
	const char *url;
	const char *const *headers; /* "Name: value" */
	size_t nheaders;
	struct str body; /* data NULL: none. */
	int body_stays;  /* It stays where it is until the call has ended, and
			  * is not copied. */
	uint64_t timeout_ms;
	uint64_t stall_ms;      /* Also the longest wait for the connection, and
				 * for each piece of the answer; 0 = no limit. */
	size_t max_bytes;       /* Of the answer's body, decoded. */
	unsigned int redirects; /* How many to follow. */
	int fresh;              /* On a connection of its own: libcurl repeats a
				 * request by itself where a reused one turns
				 * out to be dead. */
	fetch_done_cb *done;
	void *cookie;

	/* Asked before the call goes on with ${bytes} more of memory: -1 ends
	 * it with ERR_UNAVAILABLE.  NULL: it may have what it needs. */
	int (*more)(void *cookie, size_t bytes);
};

/* Memory of a call beside its answer, its body, its URL and its headers. */
#define FETCH_CALL_BYTES 16384

/**
 * fetch_create(options, err):
 * Make a client.
 *
 * Errors:    ERR_INTERNAL     libcurl cannot start.
 * Ownership: keeps options->base, ->guard, ->proxy and ->stand_in; the caller
 *            frees with fetch_free().
 */
struct fetch *fetch_create(
    const struct fetch_options *options, struct err *err) ATTR_MUSTCHECK;

/* Cancel every call and free the client. */
void fetch_free(struct fetch *fetch);

/**
 * fetch_start(fetch, request, ret_call, err):
 * Begin a call.
 *
 * Returns:   0, and request->done will be called, unless it is cancelled.
 * Errors:    ERR_INVALID      not an http or https URL, or a header with a line
 *                             break in it.  The trouble of a call comes by its
 *                             result: ERR_RESOLVE, ERR_CONNECT, ERR_TLS,
 *                             ERR_TIMEOUT, ERR_TOO_LARGE, ERR_BLOCKED (the
 * guard refused the address), ERR_INVALID (not HTTP, too many redirects),
 *                             ERR_UNAVAILABLE (more() said no).
 * Ownership: the call is the client's.
 * Thread:    that of the event base.
 */
int fetch_start(struct fetch *fetch, const struct fetch_request *request,
    struct fetch_call **ret_call, struct err *err) ATTR_MUSTCHECK;

/* End a call; its callback is not called.  Not from within a callback of it. */
void fetch_cancel(struct fetch_call *call);

/**
 * fetch_answer(call, result):
 * Answer a call that a stand-in was given; the bufs of ${result} may be empty
 * when this returns, and are still the caller's to free.
 */
void fetch_answer(struct fetch_call *call, struct fetch_result *result);

#endif /* !NET_FETCH_H_ */
