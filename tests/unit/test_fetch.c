/* net/fetch against a small server in a thread of its own. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <event2/event.h>

#include "base/mem.h"
#include "net/fetch.h"
#include "net/guard.h"

static struct event_base *base;
static struct guard *guard;
static struct fetch *fetch;
static int listener = -1;
static unsigned int port;
static int
    connections; /* Written by the server alone, read after it is quiet. */

static void
answer(int fd, const char *status, const char *headers, const char *body)
{
	char head[600];
	int n = snprintf(head, sizeof(head),
	    "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status, headers,
	    strlen(body));

	(void)!write(fd, head, (size_t)n);
	(void)!write(fd, body, strlen(body));
}

/* Serve one connection, request after request, by the path that is asked for.
 */
static void *
serve_one(void *cookie)
{
	int fd = (int)(intptr_t)cookie;
	char in[65536], out[400], *end, *body;
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, in + len, sizeof(in) - 1 - len)) > 0) {
		len += (size_t)n;
		in[len] = '\0';
		if (in[0] ==
		    0x16) { /* A TLS client is told that nobody is one here. */
			answer(fd, "400 Bad Request", "", "");
			break;
		}
		if ((end = strstr(in, "\r\n\r\n")) == NULL)
			continue;
		body = end + 4;
		if (strstr(in, "Content-Length: 5\r\n") != NULL &&
		    strlen(body) < 5)
			continue;
		if (strncmp(in, "GET /ok", 7) == 0) {
			answer(
			    fd, "200 OK", "X-One: 1\r\nX-Two: 2\r\n", "fine");
		} else if (strncmp(in, "POST /echo", 10) == 0) {
			(void)snprintf(out, sizeof(out), "%s|%s|%s", body,
			    strstr(in, "X-Mine: yes\r\n") != NULL ? "mine" : "",
			    strstr(in, "Expect:") != NULL ? "expect" : "");
			answer(fd, "201 Created", "", out);
		} else if (strncmp(in, "DELETE /gone", 12) == 0) {
			answer(fd, "404 Not Found", "", "no");
		} else if (strncmp(in, "GET /to/", 8) == 0) {
			(void)snprintf(out, sizeof(out), "Location: %.*s\r\n",
			    (int)strcspn(in + 8, " "), in + 8);
			answer(fd, "302 Found", out, "elsewhere");
		} else if (strncmp(in, "GET /loop", 9) == 0) {
			answer(fd, "302 Found", "Location: /loop\r\n", "");
		} else if (strncmp(in, "GET /hang", 9) == 0) {
			/* Nothing: the client gives up. */
		} else if (strncmp(in, "GET /cut", 8) == 0) {
			(void)!write(fd,
			    "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx",
			    41);
			break;
		} else {
			(void)!write(fd, "garbage\r\n\r\n", 11);
			break;
		}
		len = 0;
	}
	(void)close(fd);
	return NULL;
}

static void *
serve(void *cookie)
{
	pthread_t thread;
	int fd;

	(void)cookie;
	while ((fd = accept(listener, NULL, NULL)) != -1) {
		connections++;
		if (pthread_create(
			&thread, NULL, serve_one, (void *)(intptr_t)fd) == 0)
			(void)pthread_detach(thread);
	}
	return NULL;
}

static void
setup(void)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct fetch_options options = {0};
	socklen_t len = sizeof(a);
	pthread_t thread;

	listener = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	cr_assert_eq(listen(listener, 64), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	port = ntohs(a.sin_port);
	cr_assert_eq(pthread_create(&thread, NULL, serve, NULL), 0);
	(void)pthread_detach(thread);

	base = event_base_new();
	guard = guard_create();
	guard_allow_loopback(guard);
	options.base = base;
	options.guard = guard;
	options.max_idle_connections = 16;
	fetch = fetch_create(&options, NULL);
	cr_assert_not_null(fetch);
}

static void
teardown(void)
{
	fetch_free(fetch);
	guard_free(guard);
	event_base_free(base);
}

TestSuite(fetch, .init = setup, .fini = teardown, .timeout = 30);

struct outcome {
	int called;
	unsigned int status;
	enum err_code code;
	char *message;
	char *body;
	char *headers;
};

static void
on_done(void *cookie, struct fetch_result *result)
{
	struct outcome *o = cookie;

	o->called++;
	o->status = result->status;
	o->code = result->err.code;
	o->message = mem_strdup(result->err.msg);
	o->body = buf_take(&result->body);
	o->headers = buf_take(&result->headers);
}

static void
clear(struct outcome *o)
{
	free(o->message);
	free(o->body);
	free(o->headers);
	*o = (struct outcome){0};
}

static struct fetch_request
request_of(const char *method, const char *path, struct outcome *o)
{
	static char url[300];

	if (path[0] == '/')
		(void)snprintf(
		    url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
	else
		(void)snprintf(url, sizeof(url), "%s", path);
	return (struct fetch_request){.method = method,
	    .url = url,
	    .timeout_ms = 20000,
	    .max_bytes = 1 << 20,
	    .done = on_done,
	    .cookie = o};
}

static void
run(const struct fetch_request *request)
{
	struct outcome *o = request->cookie;
	struct fetch_call *call;
	struct err err = ERR_INIT;

	cr_assert_eq(
	    fetch_start(fetch, request, &call, &err), 0, "%s", err.msg);
	cr_expect_eq(o->called, 0, "never from within");
	while (!o->called)
		(void)event_base_loop(base, EVLOOP_ONCE);
	cr_expect_eq(o->called, 1);
}

Test(fetch, gets_posts_and_reuses_the_connection)
{
	const char *const headers[] = {"X-Mine: yes"};
	struct outcome o = {0};
	struct fetch_request r = request_of("GET", "/ok", &o);

	run(&r);
	cr_expect_eq(o.status, 200, "%s", o.message);
	cr_expect_str_eq(o.body, "fine");
	cr_expect_str_eq(o.headers, "X-One: 1\nX-Two: 2\nContent-Length: 4\n");
	clear(&o);

	r = request_of("POST", "/echo", &o);
	r.headers = headers;
	r.nheaders = 1;
	r.body = STR("hello");
	run(&r);
	cr_expect_eq(o.status, 201, "%s", o.message);
	cr_expect_str_eq(o.body, "hello|mine|");
	clear(&o);

	r = request_of("DELETE", "/gone", &o);
	run(&r);
	cr_expect_eq(o.status, 404, "a status is no error: %s", o.message);
	clear(&o);
	cr_expect_eq(connections, 1);
}

Test(fetch, a_fresh_request_has_a_connection_of_its_own)
{
	struct outcome o = {0};
	struct fetch_request r = request_of("GET", "/ok", &o);
	int i;

	for (i = 0; i < 3; i++) {
		r.fresh = i > 0;
		run(&r);
		cr_expect_eq(o.status, 200, "%s", o.message);
		clear(&o);
	}
	cr_expect_eq(connections, 3);
}

Test(fetch, without_a_guard_nobody_is_refused)
{
	struct guard *strict = guard_create();
	struct fetch_options options = {.base = base, .guard = strict};
	struct fetch *open = fetch;
	struct outcome o = {0};
	struct fetch_request r = request_of("GET", "/ok", &o);

	fetch = fetch_create(&options, NULL);
	run(&r);
	cr_expect_eq(o.code, ERR_BLOCKED);
	clear(&o);
	fetch_free(fetch);
	options.guard = NULL;
	fetch = fetch_create(&options, NULL);
	run(&r);
	cr_expect_eq(o.status, 200, "%s", o.message);
	clear(&o);
	fetch_free(fetch);
	guard_free(strict);
	fetch = open;
}

Test(fetch, follows_redirects_only_when_asked)
{
	struct outcome o = {0};
	struct fetch_request r = request_of("GET", "/to//ok", &o);

	run(&r);
	cr_expect_eq(o.status, 302);
	cr_expect_str_eq(o.body, "elsewhere");
	clear(&o);
	r.redirects = 1;
	run(&r);
	cr_expect_eq(o.status, 200);
	cr_expect_str_eq(o.body, "fine");
	clear(&o);
	r = request_of("GET", "/loop", &o);
	r.redirects = 3;
	run(&r);
	cr_expect_eq(o.code, ERR_INVALID, "%s", o.message);
	clear(&o);
	r = request_of("GET", "/to/file:///etc/passwd", &o);
	r.redirects = 1;
	run(&r);
	cr_expect_eq(o.code, ERR_INVALID, "%s", o.message);
	clear(&o);
	r = request_of("GET", "/to/http://10.0.0.1/", &o);
	r.redirects = 1;
	run(&r);
	cr_expect_eq(o.code, ERR_BLOCKED, "%s", o.message);
	clear(&o);
}

Test(fetch, trouble_has_a_code)
{
	struct outcome o = {0};
	struct fetch_request r = request_of("GET", "/hang", &o);

	r.timeout_ms = 50;
	run(&r);
	cr_expect_eq(o.code, ERR_TIMEOUT, "%s", o.message);
	clear(&o);
	r = request_of("GET", "/ok", &o);
	r.max_bytes = 3;
	run(&r);
	cr_expect_eq(o.code, ERR_TOO_LARGE, "%s", o.message);
	clear(&o);
	r = request_of("GET", "/cut", &o);
	run(&r);
	cr_expect_eq(o.code, ERR_CONNECT, "%s", o.message);
	clear(&o);
	r = request_of("GET", "/garbage", &o);
	run(&r);
	cr_expect_neq(o.code, ERR_NONE);
	cr_expect_eq(o.status, 0);
	clear(&o);
	r = request_of("GET", "http://127.0.0.1:1/", &o);
	run(&r);
	cr_expect_eq(o.code, ERR_CONNECT, "%s", o.message);
	clear(&o);
	r = request_of("GET", "http://nowhere.invalid/", &o);
	run(&r);
	cr_expect_eq(o.code, ERR_RESOLVE, "%s", o.message);
	clear(&o);
	(void)snprintf(
	    (char *)(uintptr_t)r.url, 100, "https://127.0.0.1:%u/ok", port);
	run(&r);
	cr_expect_eq(o.code, ERR_TLS, "%s", o.message);
	clear(&o);
}

Test(fetch, the_guard_sees_every_spelling_of_an_address)
{
	const char *const bad[] = {"http://10.0.0.1/", "http://0x0a000001/",
	    "http://167772161/", "http://012.0.0.1/",
	    "http://169.254.169.254/latest/", "http://[::ffff:10.0.0.1]/",
	    "http://[fe80::1]/", "http://0/", "http://[::]/"};
	struct outcome o = {0};
	struct fetch_request r;
	size_t i;

	for (i = 0; i < NELEMS(bad); i++) {
		r = request_of("GET", bad[i], &o);
		run(&r);
		cr_expect_eq(o.code, ERR_BLOCKED, "%s: %s", bad[i], o.message);
		clear(&o);
	}
	guard_refuse_listener(guard, (uint16_t)port);
	r = request_of("GET", "/ok", &o);
	run(&r);
	cr_expect_eq(o.code, ERR_BLOCKED);
	clear(&o);
}

Test(fetch, refuses_what_is_no_request)
{
	const char *const bad[] = {"", "file:///etc/passwd", "ftp://x/",
	    "gopher://x/", "not a url", "/path"};
	const char *const headers[] = {"X: 1\r\nEvil: 2"};
	struct outcome o = {0};
	struct fetch_request r = request_of("GET", "/ok", &o);
	struct fetch_call *call;
	struct err err;
	size_t i;

	for (i = 0; i < NELEMS(bad); i++) {
		r.url = bad[i];
		cr_expect_eq(
		    fetch_start(fetch, &r, &call, &err), -1, "%s", bad[i]);
		cr_expect_eq(err.code, ERR_INVALID);
	}
	r = request_of("GET", "/ok", &o);
	r.headers = headers;
	r.nheaders = 1;
	cr_expect_eq(fetch_start(fetch, &r, &call, &err), -1);
	cr_expect_eq(err.code, ERR_INVALID);
}

Test(fetch, a_cancelled_call_is_never_heard_of_again)
{
	struct outcome a = {0}, b = {0};
	struct fetch_request r = request_of("GET", "/ok", &a);
	struct fetch_call *call, *hang;
	struct err err;

	cr_assert_eq(fetch_start(fetch, &r, &call, &err), 0);
	fetch_cancel(call);
	r = request_of("GET", "/hang", &a);
	cr_assert_eq(fetch_start(fetch, &r, &hang, &err), 0);
	r = request_of("GET", "/ok", &b);
	run(&r);
	cr_expect_eq(a.called, 0);
	clear(&b);
	/* The one that hangs goes with the client. */
}

Test(fetch, a_hundred_at_once)
{
	struct outcome o[100] = {{0}};
	struct fetch_request r;
	struct fetch_call *call;
	struct err err;
	int i, left = 100;

	for (i = 0; i < 100; i++) {
		r = request_of("GET", "/ok", &o[i]);
		cr_assert_eq(fetch_start(fetch, &r, &call, &err), 0);
	}
	while (left > 0) {
		(void)event_base_loop(base, EVLOOP_ONCE);
		for (left = 100, i = 0; i < 100; i++)
			left -= o[i].called;
	}
	for (i = 0; i < 100; i++) {
		cr_expect_eq(o[i].status, 200, "%s", o[i].message);
		clear(&o[i]);
	}
}
