#ifndef NET_HTTPD_INTERNAL_H_
#define NET_HTTPD_INTERNAL_H_

/*
 * What the files of the server share: the gate (bytes alone, no libevent), the
 * connection, the request.
 *
 * Floor: 2 (net).  May include base/, crypto/.
 */

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

#include "net/httpd.h"

struct evbuffer;
struct evbuffer_cb_entry;
struct evbuffer_cb_info;
struct bufferevent;
struct evconnlistener;
struct loop_timer;
struct event;
struct event_base;
struct evhttp;
struct evhttp_connection;
struct evhttp_request;

/* ---- the gate --------------------------------------------------------------
 */

/* What is answered instead; all text is static. */
struct gate_verdict {
	int status;
	const char *code;
	const char *message;
	const char *allow; /* With 405. */
};

struct gate_head {
	enum httpd_method method;
	struct str path;   /* Without the query. */
	struct str target; /* As it was sent. */
	int http_1_0;
	int chunked;
	int absolute;    /* The target is a whole URL. */
	uint64_t length; /* Of the body; 0 also where none is given. */
};

/**
 * gate_scan(text, len, line, ret_verdict):
 * Look for the empty line that ends a head.  *${line} is where the first line
 * begins that is not known to be whole (0 at first); it is moved on.
 *
 * Returns:   the length of the head with its empty line; 0 if it is not all
 *            there; -1 if it will never be good.
 */
ptrdiff_t gate_scan(const char *text, size_t len, size_t *line,
    struct gate_verdict *ret_verdict);

/**
 * gate_parse(text, len, ret_head, ret_verdict):
 * Check a whole head.
 *
 * Returns:   0, or -1 and the verdict.
 */
int gate_parse(const char *text, size_t len, struct gate_head *ret_head,
    struct gate_verdict *ret_verdict);

/* Where the reading of a chunked body is; all zero at its start. */
struct gate_chunks {
	int state;
	unsigned int digits; /* Of the size being read. */
	uint64_t size;       /* Of the chunk, what is missing of it. */
	uint64_t total;
};

/**
 * gate_chunks(chunks, data, len, max_body, ret_verdict):
 * Go over bytes of a chunked body.
 *
 * Returns:   1 if its end is in them, 0 if more must come, -1 and the verdict.
 */
int gate_chunks(struct gate_chunks *chunks, const char *data, size_t len,
    uint64_t max_body, struct gate_verdict *ret_verdict);

/* Whether evhttp reads a body behind a request of that method. */
int gate_has_body(enum httpd_method method);

/* ---- connections -----------------------------------------------------------
 */

enum conn_state {
	CONN_HEAD,     /* The next head is awaited, or coming in. */
	CONN_BODY,     /* evhttp reads the body by its length. */
	CONN_CHUNKS,   /* The same, chunked: the gate looks at each chunk. */
	CONN_HANDLING, /* The handler has it. */
	CONN_WRITING,  /* The reply is on its way. */
	CONN_STREAM,
	CONN_REJECTED, /* The gate's answer is about to be sent. */
	CONN_CLOSING   /* It was; what still comes in is thrown away. */
};

/* Each has a time limit of its own, so each list is in order of time. */
enum conn_wait {
	WAIT_FIRST,   /* Nothing came yet. */
	WAIT_IDLE,    /* Between requests. */
	WAIT_REQUEST, /* From a request's first byte to its last. */
	WAIT_REPLY,   /* Handling, or a stream: no limit. */
	WAIT_WRITE,   /* The client takes the reply. */
	WAIT_LINGER,  /* The client reads the gate's answer and hangs up. */
	WAIT_COUNT
};

TAILQ_HEAD(httpd_conns, httpd_conn);

struct httpd_conn {
	TAILQ_ENTRY(httpd_conn) entry; /* In httpd->waits[wait]. */
	struct httpd *httpd;
	struct bufferevent *bev; /* A reference of our own. */
	struct evbuffer_cb_entry *watch;
	struct evhttp_connection
	    *evcon;             /* evhttp's; NULL before it is known. */
	struct event *deferred; /* Ours: work for the next round. */
	struct evbuffer *held;  /* Ours: the start of a head that came together
				 * with the request before; or NULL. */
	struct httpd_request *req; /* With the handler; or NULL. */
	enum conn_state state;
	enum conn_wait wait;
	uint64_t since_mono_ms; /* In that list. */
	size_t line;            /* Of gate_scan(). */
	uint64_t thrown;        /* Bytes read while closing. */
	uint64_t body_left;     /* Bytes of the body that are still to come. */
	struct gate_chunks chunks;
	struct gate_verdict verdict;
	int fd;
	int withheld;    /* evhttp is not told of what comes in. */
	int close_after; /* No other request behind this one. */
	int hang_up;     /* Close it in the next round. */
};

struct httpd {
	struct loop *loop;
	struct event_base *base;
	struct evhttp *http;
	struct evconnlistener *listener; /* evhttp's; NULL once stopped. */
	void *bound;
	struct loop_timer *tick;
	struct evbuffer *scratch; /* The body of the reply being sent. */
	struct httpd_options options;
	struct httpd_conns waits[WAIT_COUNT];
	uint64_t limits_ms[WAIT_COUNT]; /* 0 = none. */
	uint64_t tick_ms;
	struct httpd_conn **by_fd;
	size_t by_fd_cap;
	struct httpd_stats stats;
	size_t busy;
	int draining;
};

struct httpd_request {
	struct httpd_conn *conn; /* NULL once the client is gone. */
	struct evhttp_request *ev;
	enum httpd_method method;
	int owned; /* evhttp has forgotten it: it is freed by us. */
	int streaming;
	void (*gone)(struct httpd_request *req, void *cookie);
	void *gone_cookie;
};

/* The callbacks of a connection: bytes came in, work was put off, its time is
 * up. */
void httpd_conn_input(
    struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg);
void httpd_conn_deferred(int fd, short what, void *arg);
void httpd_conn_late(struct httpd_conn *conn);

/* End it at once; it is gone when this returns. */
void httpd_conn_destroy(struct httpd_conn *conn);

/* Give back a request whose client is gone. */
void httpd_request_drop(struct httpd_request *req);

/* Put a connection into another list, from now on. */
void httpd_conn_wait(struct httpd_conn *conn, enum conn_wait wait);

/* The reply of a request has left: look at what came behind it. */
void httpd_conn_done(struct evhttp_request *ev, void *arg);

/* Write what can be written now, without waiting for the loop to say so.
 * Returns 1 if all is out. */
int httpd_conn_flush(struct httpd_conn *conn);

/* The phrase of a status. */
const char *httpd_phrase(int status);

#endif /* !NET_HTTPD_INTERNAL_H_ */
