#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#include "net/loop.h"
#include "net/tls.h"

#include "net/httpd_internal.h"

/* How long a refused client is listened to, so that it sees the answer and not
 * a reset. */
#define LINGER_MS 2000

static void
tick_cb(void *cookie)
{
	struct httpd *httpd = cookie;
	uint64_t now = clock_mono_ms();
	struct httpd_conn *conn, *next;
	int i;

	for (i = 0; i < WAIT_COUNT; i++) {
		if (httpd->limits_ms[i] == 0)
			continue;
		for (conn = TAILQ_FIRST(&httpd->waits[i]); conn != NULL;
		     conn = next) {
			next = TAILQ_NEXT(conn, entry);
			if (now - conn->since_mono_ms < httpd->limits_ms[i])
				break;
			httpd_conn_late(conn);
		}
	}
	/* It was switched off if descriptors had run out. */
	if (httpd->listener != NULL)
		(void)evconnlistener_enable(httpd->listener);
	loop_timer_set(httpd->tick, httpd->tick_ms);
}

static struct bufferevent *
bev_cb(struct event_base *base, void *arg)
{
	struct httpd *httpd = arg;
	struct httpd_conn *conn;
	struct bufferevent *bev;

	bev = httpd->options.tls != NULL
		  ? tls_server_bev(httpd->options.tls, base)
		  : bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL)
		abort(); /* Out of memory; evhttp would go on ungated. */
	conn = mem_zalloc(sizeof(*conn));
	conn->httpd = httpd;
	conn->bev = bev;
	conn->fd = -1;
	bufferevent_incref(bev);
	conn->watch =
	    evbuffer_add_cb(bufferevent_get_input(bev), httpd_conn_input, conn);
	conn->deferred = event_new(base, -1, 0, httpd_conn_deferred, conn);
	if (conn->watch == NULL || conn->deferred == NULL)
		abort(); /* Out of memory. */
	conn->wait = WAIT_FIRST;
	conn->since_mono_ms = clock_mono_ms();
	TAILQ_INSERT_TAIL(&httpd->waits[WAIT_FIRST], conn, entry);
	httpd->stats.connections++;
	httpd->stats.open++;
	event_active(conn->deferred, EV_TIMEOUT, 0);
	return bev;
}

static void
request_cb(struct evhttp_request *ev, void *arg)
{
	struct httpd *httpd = arg;
	struct evhttp_connection *evcon = evhttp_request_get_connection(ev);
	struct httpd_conn *conn = NULL;
	struct httpd_request *req;
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(evcon));

	if (fd >= 0 && (size_t)fd < httpd->by_fd_cap)
		conn = httpd->by_fd[fd];
	if (conn == NULL || conn->evcon != evcon)
		abort(); /* Every connection was adopted before it had input. */

	req = mem_zalloc(sizeof(*req));
	req->conn = conn;
	req->ev = ev;
	switch (evhttp_request_get_command(ev)) {
	case EVHTTP_REQ_GET:
		req->method = HTTPD_GET;
		break;
	case EVHTTP_REQ_HEAD:
		req->method = HTTPD_HEAD;
		break;
	case EVHTTP_REQ_POST:
		req->method = HTTPD_POST;
		break;
	case EVHTTP_REQ_PUT:
		req->method = HTTPD_PUT;
		break;
	case EVHTTP_REQ_DELETE:
		req->method = HTTPD_DELETE;
		break;
	case EVHTTP_REQ_OPTIONS:
		req->method = HTTPD_OPTIONS;
		break;
	case EVHTTP_REQ_PATCH:
		req->method = HTTPD_PATCH;
		break;
	case EVHTTP_REQ_TRACE:
		req->method = HTTPD_TRACE;
		break;
	case EVHTTP_REQ_CONNECT:
		req->method = HTTPD_OTHER;
		break;
	}
	conn->req = req;
	conn->state = CONN_HANDLING;
	httpd_conn_wait(conn, WAIT_REPLY);
	httpd->stats.requests++;
	httpd->options.handle(req, httpd->options.cookie);
}

/* Out of descriptors: wait, instead of being told so again and again. */
static void
accept_error_cb(struct evconnlistener *listener, void *arg)
{
	(void)arg;
	(void)evconnlistener_disable(listener);
}

static void
set_defaults(struct httpd *httpd)
{
	struct httpd_options *o = &httpd->options;
	uint64_t least;

	if (o->max_connections == 0)
		o->max_connections = 1024;
	if (o->max_headers == 0)
		o->max_headers = 16384;
	if (o->max_body == 0)
		o->max_body = 1 << 20;
	if (o->request_timeout_ms == 0)
		o->request_timeout_ms = 10000;
	if (o->idle_timeout_ms == 0)
		o->idle_timeout_ms = 75000;
	httpd->limits_ms[WAIT_FIRST] = o->request_timeout_ms;
	httpd->limits_ms[WAIT_IDLE] = o->idle_timeout_ms;
	httpd->limits_ms[WAIT_REQUEST] = o->request_timeout_ms;
	httpd->limits_ms[WAIT_WRITE] = o->request_timeout_ms;
	httpd->limits_ms[WAIT_LINGER] = LINGER_MS;
	least = o->request_timeout_ms < o->idle_timeout_ms
		    ? o->request_timeout_ms
		    : o->idle_timeout_ms;
	httpd->tick_ms = least / 10 < 10    ? 10
			 : least / 10 > 250 ? 250
					    : least / 10;
}

int
httpd_create(struct loop *loop, int fd, const struct httpd_options *options,
    struct httpd **ret_httpd, struct err *err)
{
	struct httpd *httpd = mem_zalloc(sizeof(*httpd));
	struct evconnlistener *listener;
	int i;

	httpd->loop = loop;
	httpd->base = loop_base(loop);
	httpd->options = *options;
	set_defaults(httpd);
	for (i = 0; i < WAIT_COUNT; i++)
		TAILQ_INIT(&httpd->waits[i]);
	httpd->tick = loop_timer_create(loop, tick_cb, httpd);
	httpd->scratch = evbuffer_new();
	httpd->http = evhttp_new(httpd->base);
	listener = evconnlistener_new(httpd->base, NULL, NULL,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (httpd->http == NULL || httpd->scratch == NULL || listener == NULL)
		goto bad;

	/* The gate's limits are the ones that count: evhttp's never strike. */
	evhttp_set_max_headers_size(
	    httpd->http, (ev_ssize_t)(2 * httpd->options.max_headers));
	evhttp_set_max_body_size(
	    httpd->http, (ev_ssize_t)(httpd->options.max_body + 1));
	evhttp_set_default_content_type(httpd->http, NULL);
	evhttp_set_allowed_methods(httpd->http,
	    EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
		EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
		EVHTTP_REQ_TRACE | EVHTTP_REQ_PATCH);
	evhttp_set_bevcb(httpd->http, bev_cb, httpd);
	evhttp_set_gencb(httpd->http, request_cb, httpd);
	httpd->bound = evhttp_bind_listener(httpd->http, listener);
	if (httpd->bound == NULL)
		goto bad;
	evconnlistener_set_error_cb(listener, accept_error_cb);
	httpd->listener = listener;
	loop_timer_set(httpd->tick, httpd->tick_ms);
	*ret_httpd = httpd;
	return 0;

bad:
	if (listener != NULL)
		evconnlistener_free(listener);
	else
		(void)close(fd);
	httpd_free(httpd);
	return err_set(err, ERR_UNAVAILABLE, "cannot set up the HTTP server");
}

void
httpd_free(struct httpd *httpd)
{
	struct httpd_conn *conn, *next;
	int i;

	if (httpd == NULL)
		return;
	/* All are adopted but those of this very round. */
	for (i = 0; i < WAIT_COUNT; i++) {
		for (conn = TAILQ_FIRST(&httpd->waits[i]); conn != NULL;
		     conn = next) {
			next = TAILQ_NEXT(conn, entry);
			if (conn->evcon == NULL)
				httpd_conn_deferred(-1, 0, conn);
		}
		for (conn = TAILQ_FIRST(&httpd->waits[i]); conn != NULL;
		     conn = next) {
			next = TAILQ_NEXT(conn, entry);
			httpd_conn_destroy(conn);
		}
	}
	loop_timer_free(httpd->tick);
	if (httpd->http != NULL)
		evhttp_free(httpd->http);
	if (httpd->scratch != NULL)
		evbuffer_free(httpd->scratch);
	free(httpd->by_fd);
	free(httpd);
}

void
httpd_stop_accepting(struct httpd *httpd)
{
	struct httpd_conn *conn, *next;

	httpd->draining = 1;
	if (httpd->listener != NULL) {
		evhttp_del_accept_socket(httpd->http, httpd->bound);
		httpd->listener = NULL;
	}
	for (conn = TAILQ_FIRST(&httpd->waits[WAIT_IDLE]); conn != NULL;
	     conn = next) {
		next = TAILQ_NEXT(conn, entry);
		httpd_conn_destroy(conn);
	}
}

struct httpd_stats
httpd_stats(const struct httpd *httpd)
{
	struct httpd_stats stats = httpd->stats;

	stats.busy = httpd->busy;
	return stats;
}
