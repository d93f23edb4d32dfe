#include <sys/socket.h>
#include <sys/time.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/httpd.h"
#include "net/listen.h"
#include "net/loop.h"

/* ---- a server on a thread of its own --------------------------------------
 */

static struct loop *loop;
static struct httpd *httpd;
static struct httpd_request *parked; /* /later: answered by release(). */
static atomic_int parked_count;
static atomic_int gone_count;
static unsigned int port;

static void
gone_cb(struct httpd_request *req, void *cookie)
{
	(void)req;
	(void)cookie;
	gone_count++;
}

static void
handle(struct httpd_request *req, void *cookie)
{
	static const struct httpd_header sse = {
	    "Content-Type", "text/event-stream"};
	struct str path = httpd_path(req), body = httpd_body(req);
	const struct httpd_header extra[] = {
	    {"Content-Type", "text/plain"}, {"X-Extra", "yes"}};
	struct buf out = BUF_INIT;
	struct httpd_header h;
	const void *at = NULL;
	size_t n = 0;

	(void)cookie;
	if (str_eq(path, STR("/later"))) {
		parked = req;
		parked_count++;
		return;
	}
	if (str_eq(path, STR("/stream"))) {
		httpd_stream_begin(req, &sse, 1, gone_cb, NULL);
		(void)httpd_stream_put(req, STR("data: 1\n\n"));
		parked = req;
		parked_count++;
		return;
	}
	if (str_eq(path, STR("/hang-up"))) {
		httpd_hang_up(req);
		return;
	}
	if (str_eq(path, STR("/denied"))) {
		httpd_reply_not_allowed(req, "POST");
		return;
	}
	while ((at = httpd_next_header(req, at, &h)) != NULL)
		n++;
	buf_printf(&out, "m=%d path=%.*s query=%.*s body=%zu:%.*s n=%zu",
	    (int)httpd_method(req), (int)path.len, path.data,
	    (int)httpd_query(req).len,
	    httpd_query(req).data == NULL ? "" : httpd_query(req).data,
	    body.len, body.len > 40 ? 40 : (int)body.len, body.data, n);
	httpd_reply(
	    req, 200, extra, NELEMS(extra), (struct str){out.data, out.len});
	buf_free(&out);
}

static int
route(enum httpd_method method, struct str path, const char **ret_allow,
    void *cookie)
{
	(void)cookie;
	if (!str_eq(path, STR("/there")))
		return 404;
	if (method == HTTPD_POST)
		return 0;
	*ret_allow = "POST";
	return 405;
}

static void
start(struct httpd_options options)
{
	char address[LISTEN_ADDRESS_SIZE];
	struct err err = ERR_INIT;
	int fd;

	options.handle = handle;
	cr_assert_eq(loop_create(16, &loop, &err), 0);
	cr_assert_eq(listen_open("0", 1, &fd, address, &err), 0, "%s", err.msg);
	port = (unsigned int)atoi(strrchr(address, ':') + 1);
	cr_assert_eq(httpd_create(loop, fd, &options, &httpd, &err), 0);
	cr_assert_eq(loop_start(loop, "httpd", &err), 0);
}

static void
stop(void)
{
	loop_stop(loop);
	loop_join(loop);
	httpd_free(httpd);
	loop_free(loop);
}

static void
start_default(void)
{
	start((struct httpd_options){.max_body = 100, .max_headers = 1000});
}

/* Run something on the server's thread and wait for it. */
struct errand {
	void (*run)(void);
	atomic_int done;
};

static void
run_errand(void *cookie)
{
	struct errand *e = cookie;

	e->run();
	e->done = 1;
}

static void
on_thread(void (*run)(void))
{
	struct errand e = {run, 0};

	loop_call(loop, run_errand, &e);
	while (!e.done)
		(void)usleep(200);
}

static void
wait_for(atomic_int *count, int n)
{
	while (*count < n)
		(void)usleep(200);
}

static struct httpd_stats stats;

static void
read_stats(void)
{
	stats = httpd_stats(httpd);
}

static void
release(void)
{
	httpd_reply_json(parked, 200, STR("{\"late\":true}"));
	parked = NULL;
}

/* ---- a raw client ---------------------------------------------------------
 */

static int
dial(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval tv = {10, 0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

static void
push(int fd, const char *data, size_t len)
{
	(void)send(fd, data, len, MSG_NOSIGNAL);
}

static void
say(int fd, const char *text)
{
	push(fd, text, strlen(text));
}

/* Everything until the server closes.  The caller frees. */
static char *
drain(int fd)
{
	struct buf b = BUF_INIT;
	ssize_t n;

	while ((n = recv(fd, buf_reserve(&b, 4096), 4096, 0)) > 0)
		b.len += (size_t)n;
	cr_expect(n == 0 || errno == ECONNRESET, "the server did not close: %s",
	    strerror(errno));
	if (b.data != NULL)
		b.data[b.len] = '\0';
	return buf_take(&b);
}

/* Read until ${what} was seen.  The caller frees. */
static char *
read_until(int fd, const char *what)
{
	struct buf b = BUF_INIT;
	ssize_t n;

	while (strstr(buf_text(&b), what) == NULL) {
		n = recv(fd, buf_reserve(&b, 4096), 4096, 0);
		if (n <= 0)
			break;
		b.len += (size_t)n;
		b.data[b.len] = '\0';
	}
	cr_expect_not_null(strstr(buf_text(&b), what), "got: %s", buf_text(&b));
	return buf_take(&b);
}

static char *
exchange(const char *data, size_t len)
{
	int fd = dial();
	char *answer;

	push(fd, data, len);
	(void)shutdown(fd, SHUT_WR);
	answer = drain(fd);
	(void)close(fd);
	return answer;
}

static char *
ask(const char *text)
{
	return exchange(text, strlen(text));
}

/* The request must be refused with that status, as JSON, and nothing else be
 * answered; also byte by byte. */
static void
must_refuse(const char *data, size_t len, int status, const char *code)
{
	char want[64], *answer;
	size_t i;
	int fd, round;

	(void)snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
	for (round = 0; round < 2; round++) {
		fd = dial();
		if (round == 0)
			push(fd, data, len);
		for (i = 0; round == 1 && i < len; i++)
			push(fd, data + i, 1);
		answer = drain(fd);
		(void)close(fd);
		cr_expect_eq(strncmp(answer, want, strlen(want)), 0,
		    "%.60s: %.200s", data, answer);
		cr_expect_not_null(
		    strstr(answer, "Content-Type: application/json"));
		cr_expect_not_null(strstr(answer, "Connection: close"));
		(void)snprintf(
		    want, sizeof(want), "\r\n\r\n{\"error\":\"%s\"", code);
		cr_expect_not_null(strstr(answer, want), "%s", answer);
		cr_expect_null(strstr(answer, "\nHTTP/1.1"));
		(void)snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
		free(answer);
	}
}

#define REFUSE(text, status, code)                                             \
	must_refuse(text, sizeof(text) - 1, status, code)

static void
must_get(const char *text, const char *want)
{
	char *answer = exchange(text, strlen(text));

	cr_expect_eq(strncmp(answer, "HTTP/1.", 7), 0);
	cr_expect_eq(strncmp(answer + 8, " 200 OK\r\n", 9), 0, "%s", answer);
	cr_expect_not_null(strstr(answer, want), "%s", answer);
	free(answer);
}

TestSuite(httpd, .init = start_default, .fini = stop, .timeout = 60);

#define H "Host: x\r\n"

Test(httpd, gives_method_path_query_headers_and_body)
{
	must_get(
	    "GET / HTTP/1.1\r\n" H "\r\n", "m=0 path=/ query= body=0: n=1");
	must_get("POST /a/b?c=d&e HTTP/1.1\r\n" H
		 "Content-Length: 5\r\nConnection: close\r\n\r\nhello",
	    "m=2 path=/a/b query=c=d&e body=5:hello n=3");
	must_get("PUT http://x:80/a?b HTTP/1.1\r\n" H
		 "Content-Length: 1\r\nConnection: close\r\n\r\nh",
	    "m=3 path=/a query=b body=1:h n=3");
	must_get("DELETE /a HTTP/1.1\r\n" H "\r\n", "m=4 path=/a");
	must_get("OPTIONS * HTTP/1.1\r\n" H "\r\n", "m=5 ");
	must_get("PATCH /a HTTP/1.1\r\n" H "\r\n", "m=6 path=/a");
	must_get("TRACE /a HTTP/1.1\r\n" H "\r\n", "m=7 path=/a");
	/* Empty lines before it are overlooked. */
	must_get("\r\n\r\nGET /a HTTP/1.1\r\n" H "\r\n", "m=0 path=/a");
	/* HTTP/1.0 needs no Host. */
	must_get(
	    "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "m=0 path=/a");
}

Test(httpd, answers_head_without_a_body)
{
	char *answer =
	    ask("HEAD /a HTTP/1.1\r\n" H "Connection: close\r\n\r\n");

	cr_expect_not_null(strstr(answer, "Content-Length: 30"), "%s", answer);
	cr_expect_not_null(strstr(answer, "X-Extra: yes"));
	cr_expect_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	free(answer);
}

Test(httpd, refuses_two_lengths)
{
	REFUSE("POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n"
	       "Content-Length: 5\r\n\r\nhello",
	    400, "bad_request");
	REFUSE("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n"
	       "content-length: 5\r\n\r\nhello",
	    400, "bad_request");
	REFUSE("POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\nhello", 400,
	    "bad_request");
}

Test(httpd, refuses_a_length_that_is_not_digits)
{
	REFUSE("POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc", 400,
	    "bad_request");
	REFUSE("POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400,
	    "bad_request");
	REFUSE("POST / HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\nabc", 400,
	    "bad_request");
	REFUSE("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400,
	    "bad_request");
	REFUSE("POST / HTTP/1.1\r\n" H "Content-Length:\t3\r\n\r\nabc", 400,
	    "bad_request");
	REFUSE("POST / HTTP/1.1\r\n" H
	       "Content-Length: 99999999999999999999999\r\n\r\n",
	    400, "bad_request");
}

Test(httpd, refuses_names_with_a_space_or_worse)
{
	REFUSE("POST / HTTP/1.1\r\n" H "Content-Length : 3\r\n\r\nabc", 400,
	    "bad_request");
	REFUSE("GET / HTTP/1.1\r\n" H "A B: 3\r\n\r\n", 400, "bad_request");
	REFUSE("GET / HTTP/1.1\r\n" H "A\t: 3\r\n\r\n", 400, "bad_request");
	REFUSE("GET / HTTP/1.1\r\n" H ": 3\r\n\r\n", 400, "bad_request");
	REFUSE("GET / HTTP/1.1\r\n" H "no colon\r\n\r\n", 400, "bad_request");
	REFUSE(
	    "GET / HTTP/1.1\r\n" H "A\xc3\xa4: 3\r\n\r\n", 400, "bad_request");
	REFUSE("GET / HTTP/1.1\r\n H: x\r\n" H "\r\n", 400, "bad_request");
}

Test(httpd, refuses_folded_lines_and_control_characters)
{
	REFUSE("GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", 400, "bad_request");
	REFUSE(
	    "GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n", 400, "bad_request");
	REFUSE("GET / HTTP/1.1\r\n" H "A: b\0c\r\n\r\n", 400, "bad_request");
	REFUSE("GET / HTTP/1.1\r\n" H "A: b\rc\r\n\r\n", 400, "bad_request");
	REFUSE("GET / HTTP/1.1\r\n" H "A: b\r\r\n\r\n", 400, "bad_request");
	REFUSE("GET / HTTP/1.1\r\n" H "A: b\x7f\r\n\r\n", 400, "bad_request");
	REFUSE("GET / HTTP/1.1\n" H "\r\n", 400, "bad_request");
	REFUSE("GET / HTTP/1.1\r\nHost: x\n\n", 400, "bad_request");
}

Test(httpd, refuses_other_transfer_codings)
{
	REFUSE("POST / HTTP/1.1\r\n" H
	       "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	    400, "bad_request");
	REFUSE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n",
	    400, "bad_request");
	REFUSE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n"
	       "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    400, "bad_request");
	REFUSE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n"
	       "Content-Length: 3\r\n\r\n0\r\n\r\n",
	    400, "bad_request");
	REFUSE("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\x0b"
	       "chunked\r\n\r\n0\r\n\r\n",
	    400, "bad_request");
	REFUSE("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
	       "0\r\n\r\n",
	    400, "bad_request");
}

Test(httpd, refuses_a_missing_or_second_host)
{
	REFUSE("GET / HTTP/1.1\r\n\r\n", 400, "bad_request");
	REFUSE("GET / HTTP/1.1\r\n" H H "\r\n", 400, "bad_request");
	REFUSE("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "bad_request");
}

Test(httpd, refuses_request_lines_that_are_none)
{
	REFUSE("GET /\r\n" H "\r\n", 400, "bad_request");
	REFUSE("GET\r\n\r\n", 400, "bad_request");
	REFUSE("GET / a HTTP/1.1\r\n" H "\r\n", 400, "bad_request");
	REFUSE("GET  / HTTP/1.1\r\n" H "\r\n", 400, "bad_request");
	REFUSE("GET a HTTP/1.1\r\n" H "\r\n", 400, "bad_request");
	REFUSE("GET //a HTTP/1.1\r\n" H "\r\n", 400, "bad_request");
	REFUSE("GET http://a:b:c/ HTTP/1.1\r\n" H "\r\n", 400, "bad_request");
	REFUSE("GET /\x80 HTTP/1.1\r\n" H "\r\n", 400, "bad_request");
	REFUSE("GET /\0 HTTP/1.1\r\n" H "\r\n", 400, "bad_request");
	REFUSE("G(T / HTTP/1.1\r\n" H "\r\n", 400, "bad_request");
	REFUSE("GET / HTTP/2.0\r\n" H "\r\n", 505, "version_not_supported");
	REFUSE("GET / HTTP/1.1 \r\n" H "\r\n", 400, "bad_request");
	REFUSE("GET / ICY/1.1\r\n" H "\r\n", 400, "bad_request");
	REFUSE("FOO / HTTP/1.1\r\n" H "\r\n", 501, "not_implemented");
	REFUSE("CONNECT a:1 HTTP/1.1\r\n" H "\r\n", 501, "not_implemented");
	REFUSE("\x16\x03\x01", 400, "bad_request");
	REFUSE("POST / HTTP/1.1\r\n" H "Expect: more\r\n\r\n", 417,
	    "expectation_failed");
}

Test(httpd, refuses_what_is_too_large)
{
	struct buf b = BUF_INIT;

	REFUSE("POST / HTTP/1.1\r\n" H "Content-Length: 101\r\n\r\n", 413,
	    "too_large");
	REFUSE("POST / HTTP/1.1\r\n" H "Content-Length: 101\r\n"
	       "Expect: 100-continue\r\n\r\n",
	    413, "too_large");
	REFUSE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
	       "65\r\n",
	    413, "too_large");
	REFUSE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
	       "1\r\na\r\n64\r\n",
	    413, "too_large");
	REFUSE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
	       "FFFFFFFFFFFFFFFF\r\n",
	    400, "bad_request");
	buf_puts(&b, "GET / HTTP/1.1\r\n" H "A: ");
	while (b.len < 1100)
		buf_putc(&b, 'a');
	must_refuse(b.data, b.len, 431, "headers_too_large");
	buf_reset(&b);
	while (b.len < 1100)
		buf_putc(&b, 'G');
	must_refuse(b.data, b.len, 431, "headers_too_large");
	buf_reset(&b);
	buf_puts(&b, "GET / HTTP/1.1\r\n" H);
	while (b.len < 950)
		buf_puts(&b, "a:b\r\n");
	buf_puts(&b, "\r\n");
	must_refuse(b.data, b.len, 431, "headers_too_large");
	buf_free(&b);
}

Test(httpd, takes_a_body_of_exactly_the_limit)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "POST / HTTP/1.1\r\n" H "Content-Length: 100\r\n\r\n");
	while (b.len < 59 + 81)
		buf_putc(&b, 'x');
	b.len = strlen("POST / HTTP/1.1\r\n" H "Content-Length: 100\r\n\r\n");
	buf_puts(&b, "0123456789012345678901234567890123456789012345678"
		     "9012345678901234567890123456789012345678901234567"
		     "89");
	must_get(b.data, "body=100:0123456789");
	buf_free(&b);
}

Test(httpd, takes_chunked_bodies_and_refuses_bad_ones)
{
#define CH "POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n"
	must_get(CH "5\r\nhello\r\n006\r\n world\r\n0\r\n\r\n",
	    "body=11:hello world");
	must_get(CH "0\r\n\r\n", "body=0:");
	REFUSE(CH "5;x=y\r\nhello\r\n0\r\n\r\n", 400, "bad_request");
	REFUSE(CH "5 \r\nhello\r\n0\r\n\r\n", 400, "bad_request");
	REFUSE(CH "5\nhello\r\n0\r\n\r\n", 400, "bad_request");
	REFUSE(CH "\r\nhello", 400, "bad_request");
	REFUSE(CH "-5\r\nhello", 400, "bad_request");
	REFUSE(CH "0x5\r\nhello", 400, "bad_request");
	REFUSE(CH "5\r\nhelloo", 400, "bad_request");
	REFUSE(CH "5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", 400, "bad_request");
}

Test(httpd, takes_requests_that_trickle)
{
	static const char text[] =
	    "POST /t HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello"
	    "POST /u HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
	    "GET /v HTTP/1.1\r\n" H "Connection: close\r\n\r\n";
	int fd = dial();
	char *answer;
	size_t i;

	for (i = 0; i < sizeof(text) - 1; i++)
		push(fd, text + i, 1);
	answer = drain(fd);
	cr_expect_not_null(strstr(answer, "path=/t query= body=5:hello"));
	cr_expect_not_null(strstr(answer, "path=/u query= body=3:abc"));
	cr_expect_not_null(strstr(answer, "path=/v"));
	free(answer);
	(void)close(fd);
}

Test(httpd, answers_pipelined_requests_in_order)
{
	struct buf b = BUF_INIT;
	char want[32], *answer, *at;
	int i, fd = dial();

	for (i = 0; i < 500; i++)
		buf_printf(&b,
		    "POST /%d HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab", i);
	buf_puts(&b, "GET /last HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	push(fd, b.data, b.len);
	answer = at = drain(fd);
	for (i = 0; i < 500 && at != NULL; i++) {
		(void)snprintf(want, sizeof(want), "path=/%d ", i);
		at = strstr(at, want);
	}
	cr_assert_not_null(at);
	cr_expect_not_null(strstr(at, "path=/last"));
	free(answer);
	buf_free(&b);
	(void)close(fd);
}

Test(httpd, checks_pipelined_requests_as_well)
{
	static const char *const second[] = {"POST / HTTP/1.1\r\n" H
					     "Content-Length: +3\r\n\r\nabc",
	    "GET / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\n" H "A : b\r\n\r\n",
	    "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: "
	    "1\r\n\r\na"};
	struct buf b = BUF_INIT;
	char *answer, *rest, *all;
	size_t i, cut;
	int fd;

	for (i = 0; i < NELEMS(second); i++) {
		for (cut = 0; cut < strlen(second[i]); cut += 7) {
			fd = dial();
			buf_reset(&b);
			buf_puts(&b, "POST /first HTTP/1.1\r\n" H
				     "Content-Length: 2\r\n\r\nab");
			/* The head comes in two halves. */
			buf_put(&b, second[i], cut);
			push(fd, b.data, b.len);
			answer = read_until(fd, "path=/first");
			push(fd, second[i] + cut, strlen(second[i]) - cut);
			rest = drain(fd);
			all = mem_printf("%s%s", answer, rest);
			cr_expect_not_null(strstr(all, "HTTP/1.1 400 "));
			cr_expect_not_null(strstr(all, "bad_request"));
			cr_expect_null(strstr(all, "<"));
			free(answer);
			free(rest);
			free(all);
			(void)close(fd);
		}
	}
	buf_free(&b);
}

Test(httpd, never_reads_a_body_as_the_next_request)
{
	static const char *const methods[] = {
	    "GET", "HEAD", "DELETE", "OPTIONS", "TRACE"};
	char text[200], *answer;
	size_t i, round;

	/* The connection ends with the answer, whatever evhttp reads. */
	for (i = 0; i < NELEMS(methods); i++) {
		for (round = 0; round < 2; round++) {
			(void)snprintf(text, sizeof(text),
			    "%s /a HTTP/1.1\r\n" H "%s\r\n\r\n%s", methods[i],
			    round ? "Transfer-Encoding: chunked"
				  : "Content-Length: 35",
			    round ? "23\r\nGET /smuggled HTTP/1.1\r\nHost: "
				    "x\r\n\r\n\r\n0\r\n\r\n"
				  : "GET /smuggled HTTP/1.1\r\nHost: x\r\n"
				    "\r\n");
			answer = ask(text);
			cr_expect_not_null(
			    strstr(answer, " 200 OK"), "%s", text);
			cr_expect_null(
			    strstr(answer, "path=/smuggled"), "%s", answer);
			cr_expect_null(strstr(answer, "\nHTTP/1.1"));
			cr_expect_not_null(strstr(answer, "Connection: close"));
			free(answer);
		}
	}
}

Test(httpd, keeps_connections_alive)
{
	int i, fd = dial();

	for (i = 0; i < 20; i++) {
		say(fd, "GET /k HTTP/1.1\r\n" H "\r\n");
		free(read_until(fd, "path=/k query= body=0: n=1"));
	}
	on_thread(read_stats);
	cr_expect_eq(stats.connections, 1);
	cr_expect_eq(stats.requests, 20);
	cr_expect_eq(stats.open, 1);
	cr_expect_eq(stats.busy, 0);
	(void)close(fd);
}

Test(httpd, says_100_continue)
{
	int fd = dial();

	say(fd, "POST /e HTTP/1.1\r\n" H
		"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	free(read_until(fd, "100 Continue\r\n\r\n"));
	say(fd, "ab");
	free(read_until(fd, "body=2:ab"));
	(void)close(fd);
}

Test(httpd, answers_later)
{
	char *answer;
	int fd = dial();

	say(fd, "GET /later HTTP/1.1\r\n" H "\r\n");
	wait_for(&parked_count, 1);
	on_thread(read_stats);
	cr_expect_eq(stats.busy, 1);
	on_thread(release);
	answer = read_until(fd, "{\"late\":true}");
	cr_expect_not_null(strstr(answer, "application/json"));
	free(answer);
	(void)close(fd);
}

Test(httpd, answers_a_client_that_has_sent_all_it_will)
{
	char *answer;
	int fd = dial();

	say(fd, "GET /later HTTP/1.1\r\n" H "\r\n");
	(void)shutdown(fd, SHUT_WR);
	wait_for(&parked_count, 1);
	on_thread(release);
	answer = drain(fd);
	cr_expect_not_null(strstr(answer, "{\"late\":true}"));
	free(answer);
	(void)close(fd);
}

static void
hang_up(void)
{
	httpd_hang_up(parked);
	parked = NULL;
}

Test(httpd, hangs_up_without_an_answer)
{
	struct linger hard = {1, 0};
	char *answer;
	int fd;

	answer = ask("GET /hang-up HTTP/1.1\r\n" H "\r\n"
		     "GET /behind HTTP/1.1\r\n" H "\r\n");
	cr_expect_str_eq(answer == NULL ? "" : answer, "");
	free(answer);

	/* Later, and where the client was gone before. */
	fd = dial();
	say(fd, "POST /later HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab");
	wait_for(&parked_count, 1);
	on_thread(hang_up);
	answer = drain(fd);
	cr_expect_str_eq(answer == NULL ? "" : answer, "");
	free(answer);
	(void)close(fd);
	fd = dial();
	say(fd, "GET /later HTTP/1.1\r\n" H "\r\n");
	wait_for(&parked_count, 2);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	(void)close(fd);
	on_thread(hang_up);
	must_get("GET /next HTTP/1.1\r\n" H "\r\n", "path=/next");
	do
		on_thread(read_stats);
	while (stats.open > 0);
}

Test(httpd, survives_a_client_that_is_gone_before_its_answer)
{
	struct linger hard = {1, 0};
	int fd = dial();

	say(fd, "GET /later HTTP/1.1\r\n" H "\r\n");
	wait_for(&parked_count, 1);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	(void)close(fd);
	on_thread(release);
	must_get("GET /next HTTP/1.1\r\n" H "\r\n", "path=/next");
	do
		on_thread(read_stats);
	while (stats.open > 0);
}

Test(httpd, may_be_freed_with_a_request_unanswered)
{
	int fd = dial();

	say(fd, "POST /later HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab");
	wait_for(&parked_count, 1);
	loop_stop(loop);
	loop_join(loop);
	httpd_free(httpd);
	httpd = NULL;
	cr_expect_eq(httpd_body(parked).len, 2);
	release();
	(void)close(fd);
}

static void
put_and_end(void)
{
	(void)httpd_stream_put(parked, STR("data: 2\n\n"));
	httpd_stream_end(parked);
}

Test(httpd, streams)
{
	char *answer;
	int fd = dial();

	say(fd, "GET /stream HTTP/1.1\r\n" H "\r\nGET /x HTTP/1.1\r\n\r\n");
	free(read_until(fd, "data: 1"));
	wait_for(&parked_count, 1);
	on_thread(put_and_end);
	answer = drain(fd);
	cr_expect_not_null(strstr(answer, "data: 2"));
	cr_expect_eq(gone_count, 0);
	free(answer);
	(void)close(fd);

	/* HTTP/1.0 has no chunks. */
	fd = dial();
	say(fd, "GET /stream HTTP/1.0\r\n\r\n");
	free(read_until(fd, "data: 1"));
	wait_for(&parked_count, 2);
	on_thread(put_and_end);
	free(drain(fd));
	(void)close(fd);
}

Test(httpd, tells_a_stream_that_its_client_is_gone)
{
	int fd = dial();

	say(fd, "GET /stream HTTP/1.1\r\n" H "\r\n");
	free(read_until(fd, "data: 1"));
	(void)close(fd);
	wait_for(&gone_count, 1);
	must_get("GET /next HTTP/1.1\r\n" H "\r\n", "path=/next");

	/* And one that is still there when the server ends. */
	fd = dial();
	say(fd, "GET /stream HTTP/1.1\r\n" H "\r\n");
	free(read_until(fd, "data: 1"));
	(void)close(dial());
}

Test(httpd, answers_405_with_what_is_allowed)
{
	char *answer = ask("GET /denied HTTP/1.1\r\n" H "\r\n");

	cr_expect_not_null(strstr(answer, "HTTP/1.1 405 "));
	cr_expect_not_null(strstr(answer, "Allow: POST\r\n"));
	cr_expect_not_null(strstr(answer, "\"error\":\"method_not_allowed\""));
	free(answer);
}

static void
drain_server(void)
{
	httpd_stop_accepting(httpd);
}

Test(httpd, drains)
{
	char *answer;
	int idle = dial(), busy = dial();

	say(idle, "GET /i HTTP/1.1\r\n" H "\r\n");
	free(read_until(idle, "path=/i"));
	say(busy, "GET /later HTTP/1.1\r\n" H "\r\n");
	wait_for(&parked_count, 1);
	on_thread(drain_server);
	answer = drain(idle);
	cr_expect_str_eq(answer, "");
	free(answer);
	on_thread(release);
	answer = drain(busy);
	cr_expect_not_null(strstr(answer, "Connection: close"));
	cr_expect_not_null(strstr(answer, "late"));
	free(answer);
	(void)close(idle);
	(void)close(busy);
}

/* A number that is the same in every run. */
static unsigned int
next_number(void)
{
	static unsigned int state = 12345;

	state = state * 1664525U + 1013904223U;
	return state >> 8;
}

Test(httpd, answers_garbage_as_json_or_not_at_all)
{
	static const char *const seeds[] = {
	    "POST /a?b=c HTTP/1.1\r\n" H
	    "Content-Length: 5\r\nContent-Type: application/json\r\n\r\nhello",
	    "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
	    "5\r\nhello\r\n0\r\n\r\n",
	    "GET http://x/a HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n"
	    "GET / HTTP/1.0\r\n\r\n"};
	static const char pieces[][20] = {"\r\n", "\n", "\r", ":", " ", "\t",
	    "%00", "?", "#", "//", "@", "[", "HTTP/1.1", "Content-Length: 1",
	    "Host: y\r\n", "0\r\n\r\n", ";", "\xff", "\x7f", "chunked"};
	struct buf b = BUF_INIT;
	char *answer;
	size_t at;
	int i, k;

	for (i = 0; i < 600; i++) {
		buf_reset(&b);
		buf_puts(&b, seeds[i % 3]);
		for (k = (int)(next_number() % 4); k >= 0; k--) {
			at = next_number() % b.len;
			switch (next_number() % 3) {
			case 0:
				b.data[at] = (char)next_number();
				break;
			case 1: /* Insert. */
				answer = mem_printf("%s%s",
				    pieces[next_number() % NELEMS(pieces)],
				    b.data + at);
				b.len = at;
				buf_puts(&b, answer);
				free(answer);
				break;
			default: /* Leave out. */
				(void)memmove(
				    b.data + at, b.data + at + 1, b.len - at);
				b.len--;
				break;
			}
			b.len = strlen(b.data);
			if (b.len == 0)
				buf_puts(&b, "x");
		}
		answer = exchange(b.data, b.len);
		if (answer[0] != '\0')
			cr_expect_eq(strncmp(answer, "HTTP/1.", 7), 0);
		cr_expect_null(
		    strstr(answer, "<"), "to: %s\ngot: %s", b.data, answer);
		free(answer);
	}
	buf_free(&b);
}

/* ---- other settings -------------------------------------------------------
 */

TestSuite(httpd_limits, .timeout = 60);

Test(httpd_limits, hold_a_request_to_its_deadline_however_it_trickles)
{
	static const char *const starts[] = {"GET / HTTP/1.1\r\nA: ",
	    "POST / HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n",
	    "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\n\r\nffff\r\n"};
	struct pollfd pfd;
	uint64_t begin;
	char *answer;
	size_t i;

	start((struct httpd_options){.request_timeout_ms = 200});
	for (i = 0; i < NELEMS(starts); i++) {
		pfd = (struct pollfd){dial(), POLLIN, 0};
		push(pfd.fd, starts[i], strlen(starts[i]));
		begin = clock_mono_ms();
		/* A byte every few milliseconds, until there is an answer. */
		while (poll(&pfd, 1, 5) == 0)
			say(pfd.fd, "a");
		answer = drain(pfd.fd);
		cr_expect_not_null(strstr(answer, "HTTP/1.1 408 "));
		cr_expect_not_null(strstr(answer, "\"error\":\"timeout\""));
		cr_expect_geq(clock_mono_ms() - begin, 180);
		cr_expect_leq(clock_mono_ms() - begin, 5000);
		free(answer);
		(void)close(pfd.fd);
	}
	stop();
}

Test(httpd_limits, close_idle_connections_without_a_word)
{
	char *answer;
	int silent, idle;

	start((struct httpd_options){
	    .request_timeout_ms = 500, .idle_timeout_ms = 500});
	silent = dial();
	idle = dial();
	say(idle, "GET /i HTTP/1.1\r\n" H "\r\n");
	free(read_until(idle, "path=/i"));
	answer = drain(silent);
	cr_expect_str_eq(answer, "");
	free(answer);
	answer = drain(idle);
	cr_expect_str_eq(answer, "");
	free(answer);
	(void)close(silent);
	(void)close(idle);
	stop();
}

Test(httpd_limits, answer_503_beyond_the_connections)
{
	char *answer;
	int fds[4], i;

	start((struct httpd_options){.max_connections = 3});
	for (i = 0; i < 3; i++) {
		fds[i] = dial();
		say(fds[i], "GET /i HTTP/1.1\r\n" H "\r\n");
		free(read_until(fds[i], "path=/i"));
	}
	fds[3] = dial();
	answer = drain(fds[3]);
	cr_expect_not_null(strstr(answer, "HTTP/1.1 503 "));
	cr_expect_not_null(strstr(answer, "Retry-After: "));
	cr_expect_not_null(strstr(answer, "\"error\":\"overloaded\""));
	free(answer);
	/* With one gone there is room again. */
	(void)close(fds[0]);
	(void)close(fds[3]);
	do
		on_thread(read_stats);
	while (stats.open > 2);
	must_get("GET /again HTTP/1.1\r\n" H "\r\n", "path=/again");
	(void)close(fds[1]);
	(void)close(fds[2]);
	stop();
}

static void
start_with_routes(void)
{
	start((struct httpd_options){.max_body = 10, .route = route});
}

Test(httpd_routes, come_before_the_length, .init = start_with_routes,
    .fini = stop)
{
	REFUSE("POST /not HTTP/1.1\r\n" H "Content-Length: 11\r\n\r\n", 404,
	    "not_found");
	REFUSE("PUT /there?a HTTP/1.1\r\n" H "Content-Length: 11\r\n\r\n", 405,
	    "method_not_allowed");
	REFUSE("POST /there HTTP/1.1\r\n" H "Content-Length: 11\r\n\r\n", 413,
	    "too_large");
	REFUSE(
	    "PROPFIND /there HTTP/1.1\r\n" H "\r\n", 405, "method_not_allowed");
	REFUSE("PROPFIND /not HTTP/1.1\r\n" H "\r\n", 404, "not_found");
}
