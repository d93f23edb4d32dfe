#include <sys/socket.h>
#include <sys/time.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include "net/loop.h"
#include "net/tls.h"

#include "net/httpd_internal.h"

/* For how many bytes a refused client is listened to, so that it sees the
 * answer and not a reset. */
#define LINGER_BYTES (4U << 20)

/* Connections beyond the limit that are told so; more are just closed. */
#define OVER_LIMIT 128

/* What libevent reads at most at once (EVBUFFER_MAX_READ), and what we do. */
#define LIBEVENT_READ 4096
#define READ_AT_ONCE (64U << 10)

/* A low-water mark that is never reached: evhttp is not told. */
#define WITHHOLD ((size_t)1 << 40)

static void reject(struct httpd_conn *conn, const struct gate_verdict *verdict);

/* ---- waiting --------------------------------------------------------------
 */

static int
is_busy(enum conn_wait wait)
{
	return wait == WAIT_REQUEST || wait == WAIT_REPLY || wait == WAIT_WRITE;
}

void
httpd_conn_wait(struct httpd_conn *conn, enum conn_wait wait)
{
	struct httpd *httpd = conn->httpd;

	TAILQ_REMOVE(&httpd->waits[conn->wait], conn, entry);
	if (is_busy(conn->wait))
		httpd->busy--;
	if (is_busy(wait))
		httpd->busy++;
	conn->wait = wait;
	/* No clock for a wait without an end. */
	if (httpd->limits_ms[wait] > 0)
		conn->since_mono_ms = clock_mono_ms();
	TAILQ_INSERT_TAIL(&httpd->waits[wait], conn, entry);
}

/* End a connection at once; ${conn} is gone when this returns. */
void
httpd_conn_destroy(struct httpd_conn *conn)
{
	struct httpd_request *req = conn->req;

	/* The handler may still answer: the request must outlive this. */
	if (req != NULL) {
		evhttp_request_own(req->ev);
		req->owned = 1;
	}
	evhttp_connection_free(conn->evcon);
	if (req != NULL && req->streaming)
		httpd_request_drop(req);
}

void
httpd_conn_late(struct httpd_conn *conn)
{
	static const struct gate_verdict late = {
	    408, "timeout", "the request did not arrive in time", NULL};

	if (conn->wait == WAIT_REQUEST && conn->state != CONN_REJECTED)
		reject(conn, &late);
	else
		httpd_conn_destroy(conn);
}

/* ---- the gate's own answers -----------------------------------------------
 */

static void
closing_read_cb(struct bufferevent *bev, void *arg)
{
	struct httpd_conn *conn = arg;
	struct evbuffer *in = bufferevent_get_input(bev);

	conn->thrown += evbuffer_get_length(in);
	(void)evbuffer_drain(in, evbuffer_get_length(in));
	if (conn->thrown > LINGER_BYTES)
		httpd_conn_destroy(conn);
}

static void
closing_event_cb(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	httpd_conn_destroy(arg);
}

static void
closing_write_cb(struct bufferevent *bev, void *arg)
{
	struct httpd_conn *conn = arg;

	if (conn->wait == WAIT_LINGER)
		return;
	httpd_conn_wait(conn, WAIT_LINGER);
	if (conn->httpd->options.tls != NULL)
		tls_say_goodbye(bev);
	else
		(void)shutdown(conn->fd, SHUT_WR);
}

/* Take the connection from evhttp, and say why. */
static void
answer_verdict(struct httpd_conn *conn)
{
	const struct gate_verdict *v = &conn->verdict;
	struct buf body = BUF_INIT, head = BUF_INIT;

	buf_puts(&body, "{\"error\":");
	str_put_json(&body, str_of(v->code));
	buf_puts(&body, ",\"message\":");
	str_put_json(&body, str_of(v->message));
	buf_putc(&body, '}');
	buf_printf(&head,
	    "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
	    "Content-Length: %zu\r\nConnection: close\r\n",
	    v->status, httpd_phrase(v->status), body.len);
	if (v->allow != NULL)
		buf_printf(&head, "Allow: %s\r\n", v->allow);
	if (v->status == 503)
		buf_puts(&head, "Retry-After: 1\r\n");
	buf_puts(&head, "\r\n");
	buf_put(&head, body.data, body.len);

	conn->state = CONN_CLOSING;
	conn->httpd->stats.refused++;
	bufferevent_setcb(conn->bev, closing_read_cb, closing_write_cb,
	    closing_event_cb, conn);
	bufferevent_setwatermark(conn->bev, EV_READ, 0, 0);
	(void)bufferevent_write(conn->bev, head.data, head.len);
	(void)bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
	httpd_conn_wait(conn, WAIT_WRITE);
	buf_free(&body);
	buf_free(&head);
	if (httpd_conn_flush(conn))
		closing_write_cb(conn->bev, conn);
}

/* Nothing of this connection reaches evhttp any more.  This is called from
 * within evhttp's reading, so the rest is for the next round. */
static void
reject(struct httpd_conn *conn, const struct gate_verdict *verdict)
{
	struct evbuffer *in = bufferevent_get_input(conn->bev);

	conn->verdict = *verdict;
	conn->state = CONN_REJECTED;
	bufferevent_setwatermark(conn->bev, EV_READ, WITHHOLD, 0);
	(void)evbuffer_drain(in, evbuffer_get_length(in));
	event_active(conn->deferred, EV_TIMEOUT, 0);
}

/* ---- the gate at work -----------------------------------------------------
 */

/* A refusal at the head: 404 and 405 come before what is wrong with the rest.
 */
static void
reject_head(struct httpd_conn *conn, const struct gate_head *head,
    const struct gate_verdict *verdict)
{
	static const struct gate_verdict none = {
	    404, "not_found", "there is nothing at this path", NULL};
	const struct httpd_options *o = &conn->httpd->options;
	struct gate_verdict refused = {405, "method_not_allowed",
	    "this path does not take that method", NULL};
	int status = 0;

	if (o->route != NULL)
		status = o->route(
		    head->method, head->path, &refused.allow, o->cookie);
	if (status == 404)
		reject(conn, &none);
	else if (status == 405)
		reject(conn, &refused);
	else
		reject(conn, verdict);
}

/*
 * libevent reads 4096 bytes a round of the loop: read what else is there of the
 * body behind them, so that a body of a usual size comes in one round, and into
 * one piece of memory.
 */
static void
read_on(struct httpd_conn *conn, struct evbuffer *in)
{
	struct evbuffer_iovec v;
	ssize_t n;
	size_t want = conn->body_left < READ_AT_ONCE ? (size_t)conn->body_left
						     : READ_AT_ONCE;

	if (want == 0 || conn->httpd->options.tls != NULL ||
	    evbuffer_reserve_space(in, (ev_ssize_t)want, &v, 1) != 1)
		return;
	n = read(conn->fd, v.iov_base, v.iov_len < want ? v.iov_len : want);
	/* An end or an error comes again, and libevent sees to it. */
	v.iov_len = n > 0 ? (size_t)n : 0;
	(void)evbuffer_commit_space(in, &v, 1);
}

/* ${n} bytes of a body have come. */
static void
count_body(struct httpd_conn *conn, struct evbuffer *in, size_t n)
{
	conn->body_left -= n < conn->body_left ? n : conn->body_left;
	/* What was less than libevent takes was all that was there. */
	if (n == LIBEVENT_READ)
		read_on(conn, in);
}

static void
begin_request(struct httpd_conn *conn, struct evbuffer *in, size_t headlen,
    const struct gate_head *head)
{
	static const struct gate_verdict unknown = {
	    501, "not_implemented", "this method is not known here", NULL};
	static const struct gate_verdict large = {
	    413, "too_large", "the body is larger than the limit", NULL};
	uint64_t max = conn->httpd->options.max_body;
	struct gate_verdict verdict;
	struct evbuffer_ptr at;
	struct evbuffer_iovec v[16];
	size_t done, total;
	int i, n, rc = 0;

	if (head->method == HTTPD_OTHER) {
		reject_head(conn, head, &unknown);
		return;
	}
	if (head->length > max) {
		reject_head(conn, head, &large);
		return;
	}
	conn->state = CONN_BODY;
	/* Where evhttp may take a body for the next request, there is none. */
	if ((head->chunked || head->length > 0) && head->method != HTTPD_POST &&
	    head->method != HTTPD_PUT && head->method != HTTPD_PATCH)
		conn->close_after = 1;
	if (!gate_has_body(head->method))
		return;
	if (!head->chunked) {
		total = evbuffer_get_length(in) - headlen;
		conn->body_left =
		    head->length > total ? head->length - total : 0;
		if (evbuffer_get_length(in) >= LIBEVENT_READ)
			read_on(conn, in);
		return;
	}

	/* What is there already of a chunked body. */
	(void)memset(&conn->chunks, 0, sizeof(conn->chunks));
	conn->state = CONN_CHUNKS;
	total = evbuffer_get_length(in);
	for (done = headlen; done < total && rc == 0;) {
		(void)evbuffer_ptr_set(in, &at, done, EVBUFFER_PTR_SET);
		n = evbuffer_peek(in, -1, &at, v, NELEMS(v));
		n = n > (int)NELEMS(v) ? (int)NELEMS(v) : n;
		for (i = 0; i < n && rc == 0; i++) {
			rc = gate_chunks(&conn->chunks, v[i].iov_base,
			    v[i].iov_len, max, &verdict);
			done += v[i].iov_len;
		}
	}
	if (rc == -1)
		reject(conn, &verdict);
	else if (rc == 1)
		conn->state = CONN_BODY;
}

/* The absolute form is rare: whether evhttp will take it, it says itself. */
static int
target_is_good(const struct gate_head *head)
{
	struct evhttp_uri *uri;
	char *text;

	if (!head->absolute)
		return 1;
	text = mem_strndup(head->target.data, head->target.len);
	uri = evhttp_uri_parse_with_flags(text, EVHTTP_URI_NONCONFORMANT);
	free(text);
	if (uri == NULL)
		return 0;
	evhttp_uri_free(uri);
	return 1;
}

/* Keep evhttp from the input until a whole head is in it, or let it at it. */
static void
withhold(struct httpd_conn *conn, int on)
{
	if (conn->withheld == on)
		return;
	conn->withheld = on;
	bufferevent_setwatermark(conn->bev, EV_READ, on ? WITHHOLD : 0, 0);
}

/* Look at the start of a request. */
static void
check_input(struct httpd_conn *conn, struct evbuffer *in)
{
	static const struct gate_verdict large = {431, "headers_too_large",
	    "the request line and the headers are larger than the limit", NULL};
	static const struct gate_verdict target = {
	    400, "bad_request", "the target is not a URL", NULL};
	size_t max = conn->httpd->options.max_headers, len, part;
	struct gate_verdict verdict;
	struct gate_head head;
	const char *text;
	ptrdiff_t n;

	/* Empty lines before a request are to be overlooked (RFC 9112, 2.2). */
	len = evbuffer_get_length(in);
	while (len >= 2 && conn->line == 0) {
		text = (const char *)evbuffer_pullup(in, 2);
		if (text[0] != '\r' || text[1] != '\n')
			break;
		(void)evbuffer_drain(in, 2);
		len -= 2;
	}
	if (len == 0 || (len == 1 && *evbuffer_pullup(in, 1) == '\r')) {
		withhold(conn, len > 0);
		return;
	}

	/* As a rule the whole head is in the first piece. */
	part = evbuffer_get_contiguous_space(in);
	text = (const char *)evbuffer_pullup(in, (ev_ssize_t)part);
	n = gate_scan(text, part, &conn->line, &verdict);
	if (n == 0 && part < len && part < max) {
		part = len < max ? len : max;
		text = (const char *)evbuffer_pullup(in, (ev_ssize_t)part);
		n = gate_scan(text, part, &conn->line, &verdict);
	}
	if (n == -1) {
		reject(conn, &verdict);
	} else if ((n == 0 && len >= max) || (size_t)n > max) {
		reject(conn, &large);
	} else if (n == 0) {
		withhold(conn, 1);
	} else if (gate_parse(text, (size_t)n, &head, &verdict) == -1) {
		reject(conn, &verdict);
	} else if (!target_is_good(&head)) {
		reject(conn, &target);
	} else {
		withhold(conn, 0);
		begin_request(conn, in, (size_t)n, &head);
	}
}

/* More of a chunked body: the last ${n} bytes of the input. */
static void
check_chunks(struct httpd_conn *conn, struct evbuffer *in, size_t n)
{
	uint64_t max = conn->httpd->options.max_body;
	struct gate_verdict verdict;
	struct evbuffer_iovec v;
	struct evbuffer_ptr at;
	size_t from = evbuffer_get_length(in) - n;
	int rc = 0;

	while (n > 0 && rc == 0) {
		(void)evbuffer_ptr_set(in, &at, from, EVBUFFER_PTR_SET);
		if (evbuffer_peek(in, (ev_ssize_t)n, &at, &v, 1) < 1)
			break;
		if (v.iov_len > n)
			v.iov_len = n;
		rc = gate_chunks(
		    &conn->chunks, v.iov_base, v.iov_len, max, &verdict);
		from += v.iov_len;
		n -= v.iov_len;
	}
	if (rc == -1)
		reject(conn, &verdict);
	else if (rc == 1)
		conn->state = CONN_BODY;
}

/* Learn which connection of evhttp's this is: it has no hook that says so, but
 * it registers itself for the callbacks of its bufferevent. */
static void
adopt(struct httpd_conn *conn)
{
	struct httpd *httpd = conn->httpd;
	void *evcon = NULL;
	const int on = 1;
	size_t old;

	if (conn->evcon != NULL)
		return;
	bufferevent_getcb(conn->bev, NULL, NULL, NULL, &evcon);
	conn->evcon = evcon;
	if (evcon == NULL)
		return;
	conn->fd = bufferevent_getfd(conn->bev);
	old = httpd->by_fd_cap;
	if ((size_t)conn->fd >= old) {
		httpd->by_fd = mem_grow(httpd->by_fd, &httpd->by_fd_cap,
		    (size_t)conn->fd + 1, sizeof(*httpd->by_fd));
		(void)memset(httpd->by_fd + old, 0,
		    (httpd->by_fd_cap - old) * sizeof(*httpd->by_fd));
	}
	httpd->by_fd[conn->fd] = conn;
	(void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void
httpd_conn_input(
    struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct httpd_conn *conn = arg;
	const struct httpd_options *o = &conn->httpd->options;
	struct evbuffer *held;

	/* evhttp takes lines out one by one: most calls end here. */
	if (info->n_added == 0)
		return;
	switch (conn->state) {
	case CONN_HEAD:
		if (conn->held != NULL) {
			/* This comes back here, as bytes that were added. */
			held = conn->held;
			conn->held = NULL;
			(void)evbuffer_prepend_buffer(in, held);
			evbuffer_free(held);
			return;
		}
		if (conn->wait != WAIT_REQUEST)
			httpd_conn_wait(conn, WAIT_REQUEST);
		check_input(conn, in);
		break;
	case CONN_CHUNKS:
		check_chunks(conn, in, info->n_added);
		break;
	case CONN_REJECTED:
	case CONN_STREAM:
		(void)evbuffer_drain(in, evbuffer_get_length(in));
		break;
	case CONN_WRITING:
		/* Requests in advance, but not without end. */
		if (evbuffer_get_length(in) > o->max_headers + o->max_body) {
			(void)bufferevent_disable(conn->bev, EV_READ);
		}
		break;
	case CONN_BODY:
		count_body(conn, in, info->n_added);
		break;
	case CONN_HANDLING:
	case CONN_CLOSING:
		break;
	}
}

/* ---- the life of a connection ---------------------------------------------
 */

static void
forget(struct httpd_conn *conn)
{
	struct httpd *httpd = conn->httpd;
	struct httpd_request *req = conn->req;

	TAILQ_REMOVE(&httpd->waits[conn->wait], conn, entry);
	if (is_busy(conn->wait))
		httpd->busy--;
	httpd->stats.open--;
	if (conn->fd >= 0 && httpd->by_fd[conn->fd] == conn)
		httpd->by_fd[conn->fd] = NULL;
	(void)evbuffer_remove_cb_entry(
	    bufferevent_get_input(conn->bev), conn->watch);
	event_free(conn->deferred);
	if (conn->held != NULL)
		evbuffer_free(conn->held);
	(void)bufferevent_decref(conn->bev);
	if (req != NULL)
		req->conn = NULL;
	free(conn);
	if (req == NULL || !req->streaming)
		return;
	req->gone(req, req->gone_cookie);
	/* One that evhttp still holds is given back after this. */
	if (!req->owned)
		httpd_request_drop(req);
}

static void
closed_cb(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	forget(arg);
}

void
httpd_conn_deferred(evutil_socket_t fd, short what, void *arg)
{
	static const struct gate_verdict full = {503, "overloaded",
	    "there are too many connections, try again", NULL};
	struct httpd_conn *conn = arg;
	struct httpd *httpd = conn->httpd;

	(void)fd;
	(void)what;
	if (conn->evcon == NULL) {
		adopt(conn);
		if (conn->evcon == NULL) {
			/* evhttp gave up before it had begun. */
			forget(conn);
			return;
		}
		evhttp_connection_set_closecb(conn->evcon, closed_cb, conn);
		if (httpd->stats.open >
		    httpd->options.max_connections + OVER_LIMIT) {
			httpd_conn_destroy(conn);
			return;
		}
		if (httpd->stats.open > httpd->options.max_connections) {
			reject(conn, &full);
			return;
		}
	}
	if (conn->hang_up)
		httpd_conn_destroy(conn);
	else if (conn->state == CONN_REJECTED)
		answer_verdict(conn);
}

int
httpd_conn_flush(struct httpd_conn *conn)
{
	struct evbuffer *out = bufferevent_get_output(conn->bev);

	/* TLS writes by itself, when the loop says so. */
	if (conn->httpd->options.tls != NULL)
		return 0;
	(void)evbuffer_unfreeze(out, 1);
	(void)evbuffer_write(out, conn->fd);
	(void)evbuffer_freeze(out, 1);
	return evbuffer_get_length(out) == 0;
}

void
httpd_conn_done(struct evhttp_request *ev, void *arg)
{
	struct httpd_conn *conn = arg;
	struct evbuffer *in = bufferevent_get_input(conn->bev);

	(void)ev;
	conn->state = CONN_HEAD;
	conn->line = 0;
	if (conn->close_after || evbuffer_get_length(in) == 0) {
		httpd_conn_wait(conn, WAIT_IDLE);
		return;
	}

	/* The next request came with this one.  evhttp goes on with what is in
	 * the input, whatever the mark says: half a head is put aside. */
	httpd_conn_wait(conn, WAIT_REQUEST);
	check_input(conn, in);
	if (conn->state == CONN_HEAD && evbuffer_get_length(in) > 0) {
		conn->held = evbuffer_new();
		if (conn->held == NULL)
			abort(); /* Out of memory. */
		conn->line = 0;
		(void)evbuffer_add_buffer(conn->held, in);
	}
}
