#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "base/buf.h"
#include "base/mem.h"

#include "net/httpd_internal.h"

const char *
httpd_phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {
	    {200, "OK"},
	    {201, "Created"},
	    {204, "No Content"},
	    {302, "Found"},
	    {303, "See Other"},
	    {304, "Not Modified"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {408, "Request Timeout"},
	    {409, "Conflict"},
	    {413, "Content Too Large"},
	    {415, "Unsupported Media Type"},
	    {417, "Expectation Failed"},
	    {422, "Unprocessable Content"},
	    {429, "Too Many Requests"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {502, "Bad Gateway"},
	    {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},
	    {505, "HTTP Version Not Supported"},
	};
	size_t i;

	for (i = 0; i < NELEMS(phrases); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "Status";
}

enum httpd_method
httpd_method(const struct httpd_request *req)
{
	return req->method;
}

struct str
httpd_path(const struct httpd_request *req)
{
	const char *path =
	    evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req->ev));

	/* "*", and a URL without a path. */
	return path == NULL || path[0] == '\0' ? STR("/") : str_of(path);
}

struct str
httpd_query(const struct httpd_request *req)
{
	return str_of(
	    evhttp_uri_get_query(evhttp_request_get_evhttp_uri(req->ev)));
}

struct str
httpd_body(const struct httpd_request *req)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req->ev);
	size_t len = evbuffer_get_length(in);

	if (len == 0)
		return STR("");
	return (struct str){(const char *)evbuffer_pullup(in, -1), len};
}

const char *
httpd_header(const struct httpd_request *req, const char *name)
{
	return evhttp_find_header(
	    evhttp_request_get_input_headers(req->ev), name);
}

const void *
httpd_next_header(const struct httpd_request *req, const void *at,
    struct httpd_header *ret_header)
{
	const struct evkeyval *kv = at;

	kv = kv == NULL ? TAILQ_FIRST(evhttp_request_get_input_headers(req->ev))
			: TAILQ_NEXT(kv, next);
	if (kv != NULL)
		*ret_header = (struct httpd_header){kv->key, kv->value};
	return kv;
}

const char *
httpd_peer(const struct httpd_request *req)
{
	struct evhttp_connection *evcon =
	    evhttp_request_get_connection(req->ev);
	ev_uint16_t port;
	char *address = NULL;

	if (req->conn == NULL || evcon == NULL)
		return "";
	evhttp_connection_get_peer(evcon, &address, &port);
	return address == NULL ? "" : address;
}

static void
add_headers(
    struct httpd_request *req, const struct httpd_header *headers, size_t n)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(req->ev);
	size_t i;

	for (i = 0; i < n; i++)
		(void)evhttp_add_header(out, headers[i].name, headers[i].value);
	if (req->conn->close_after || req->conn->httpd->draining) {
		req->conn->close_after = 1;
		(void)evhttp_add_header(out, "Connection", "close");
	}
}

void
httpd_request_drop(struct httpd_request *req)
{
	/* What evhttp detached by itself it frees by itself. */
	if (req->owned)
		evhttp_request_free(req->ev);
	else
		evhttp_send_reply(req->ev, 200, "OK", NULL);
	free(req);
}

/* Send what evhttp has put into the output, and go on with the next request
 * without a round of the loop where it all went out. */
static void
push(struct httpd_conn *conn)
{
	if (httpd_conn_flush(conn))
		bufferevent_trigger(
		    conn->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
}

void
httpd_reply(struct httpd_request *req, int status,
    const struct httpd_header *headers, size_t n, struct str body)
{
	struct httpd_conn *conn = req->conn;
	struct evbuffer *data = NULL;
	char length[24];

	if (conn == NULL) {
		httpd_request_drop(req);
		return;
	}
	add_headers(req, headers, n);
	if (req->method == HTTPD_HEAD) {
		/* evhttp would send the body. */
		(void)snprintf(length, sizeof(length), "%zu", body.len);
		(void)evhttp_add_header(
		    evhttp_request_get_output_headers(req->ev),
		    "Content-Length", length);
	} else {
		data = conn->httpd->scratch;
		(void)evbuffer_add(data, body.data, body.len);
	}
	evhttp_request_set_on_complete_cb(req->ev, httpd_conn_done, conn);
	conn->req = NULL;
	conn->state = CONN_WRITING;
	httpd_conn_wait(conn, WAIT_WRITE);
	evhttp_send_reply(req->ev, status, httpd_phrase(status), data);
	free(req);
	push(conn);
}

/* It was hung up before its turn came. */
static void
ignore_gone(struct httpd_request *req, void *cookie)
{
	(void)req;
	(void)cookie;
}

void
httpd_hang_up(struct httpd_request *req)
{
	struct httpd_conn *conn = req->conn;

	if (conn == NULL) {
		httpd_request_drop(req);
		return;
	}
	/* evhttp may be calling: its connection ends in the next round.  The
	 * request goes with it, as that of a stream does. */
	req->streaming = 1;
	req->gone = ignore_gone;
	conn->state = CONN_STREAM;
	conn->hang_up = 1;
	event_active(conn->deferred, EV_TIMEOUT, 0);
}

void
httpd_reply_json(struct httpd_request *req, int status, struct str body)
{
	static const struct httpd_header json = {
	    "Content-Type", "application/json"};

	httpd_reply(req, status, &json, 1, body);
}

static void
put_error(struct buf *body, const char *code, const char *message)
{
	buf_puts(body, "{\"error\":");
	str_put_json(body, str_of(code));
	if (message != NULL) {
		buf_puts(body, ",\"message\":");
		str_put_json(body, str_of(message));
	}
	buf_putc(body, '}');
}

void
httpd_reply_error(struct httpd_request *req, int status, const char *code,
    const char *message)
{
	struct buf body = BUF_INIT;

	put_error(&body, code, message);
	httpd_reply_json(req, status, (struct str){body.data, body.len});
	buf_free(&body);
}

void
httpd_reply_not_allowed(struct httpd_request *req, const char *allow)
{
	const struct httpd_header headers[] = {
	    {"Content-Type", "application/json"}, {"Allow", allow}};
	struct buf body = BUF_INIT;

	put_error(
	    &body, "method_not_allowed", "this path does not take that method");
	httpd_reply(req, 405, headers, NELEMS(headers),
	    (struct str){body.data, body.len});
	buf_free(&body);
}

void
httpd_stream_begin(struct httpd_request *req,
    const struct httpd_header *headers, size_t n,
    void (*gone)(struct httpd_request *req, void *cookie), void *cookie)
{
	struct httpd_conn *conn = req->conn;

	req->gone = gone;
	req->gone_cookie = cookie;
	req->streaming = 1;
	conn->state = CONN_STREAM;
	conn->close_after = 1;
	add_headers(req, headers, n);
	evhttp_send_reply_start(req->ev, 200, "OK");
	(void)httpd_conn_flush(conn);
}

size_t
httpd_stream_put(struct httpd_request *req, struct str piece)
{
	struct httpd_conn *conn = req->conn;

	if (conn == NULL || piece.len == 0)
		return 0;
	(void)evbuffer_add(conn->httpd->scratch, piece.data, piece.len);
	evhttp_send_reply_chunk(req->ev, conn->httpd->scratch);
	(void)httpd_conn_flush(conn);
	return evbuffer_get_length(bufferevent_get_output(conn->bev));
}

void
httpd_stream_end(struct httpd_request *req)
{
	struct httpd_conn *conn = req->conn;

	if (conn == NULL) {
		httpd_request_drop(req);
		return;
	}
	evhttp_request_set_on_complete_cb(req->ev, httpd_conn_done, conn);
	conn->req = NULL;
	httpd_conn_wait(conn, WAIT_WRITE);
	/* The connection may be gone when this returns. */
	evhttp_send_reply_end(req->ev);
	free(req);
}
