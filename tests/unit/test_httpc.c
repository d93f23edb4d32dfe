#include <sys/socket.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/err.h"
#include "net/httpc.h"
#include "net/httpd.h"
#include "net/listen.h"
#include "net/loop.h"

static struct loop *loop;
static struct httpd *httpd;
static struct httpd_request *parked;
static char address[LISTEN_ADDRESS_SIZE];

static void
handle(struct httpd_request *req, void *cookie)
{
	static const struct httpd_header away[] = {
	    {"Location", "http://127.0.0.1:1/"}, {"X-Answer", "yes"}};
	struct str path = httpd_path(req), body = httpd_body(req);
	const char *extra = httpd_header(req, "X-Extra");
	char text[256];
	int n;

	(void)cookie;
	if (str_eq(path, STR("/never"))) {
		parked = req;
		return;
	}
	if (str_eq(path, STR("/away"))) {
		httpd_reply(req, 302, away, 2, STR(""));
		return;
	}
	n = snprintf(text, sizeof(text), "m=%d body=%.*s extra=%s",
	    (int)httpd_method(req), (int)body.len, body.data,
	    extra == NULL ? "" : extra);
	httpd_reply_json(req, 200, (struct str){text, (size_t)n});
}

static void
begin(void)
{
	struct httpd_options o = {.handle = handle};
	struct err err = ERR_INIT;
	int fd;

	cr_assert_eq(loop_create(16, &loop, &err), 0);
	cr_assert_eq(listen_open("0", 1, &fd, address, &err), 0);
	cr_assert_eq(httpd_create(loop, fd, &o, &httpd, &err), 0);
	cr_assert_eq(loop_start(loop, "httpd", &err), 0);
}

static void
end(void)
{
	loop_stop(loop);
	loop_join(loop);
	httpd_free(httpd);
	if (parked != NULL)
		httpd_reply_json(parked, 200, STR("{}"));
	loop_free(loop);
}

TestSuite(httpc, .init = begin, .fini = end, .timeout = 60);

static const char *
url(const char *path)
{
	static char text[LISTEN_ADDRESS_SIZE + 64];

	(void)snprintf(text, sizeof(text), "http://%s%s", address, path);
	return text;
}

Test(httpc, sends_and_receives)
{
	const char *const headers[] = {"X-Extra: e"};
	struct httpc_request r = {.method = "POST",
	    .url = url("/"),
	    .headers = headers,
	    .nheaders = 1,
	    .body = STR("hello")};
	struct httpc_answer a;
	struct err err = ERR_INIT;

	cr_assert_eq(httpc_call(&r, &a, &err), 0, "%s", err.msg);
	cr_expect_eq(a.status, 200);
	cr_expect_str_eq(buf_text(&a.body), "m=2 body=hello extra=e");
	cr_expect_not_null(strstr(buf_text(&a.headers), "application/json"));
	httpc_answer_free(&a);

	r = (struct httpc_request){.url = url("/away")};
	cr_assert_eq(httpc_call(&r, &a, &err), 0);
	cr_expect_eq(a.status, 302);
	httpc_answer_free(&a);
}

static void
must_fail(struct httpc_request r, enum err_code code)
{
	struct httpc_answer a;
	struct err err = ERR_INIT;

	cr_expect_eq(httpc_call(&r, &a, &err), -1);
	cr_expect_eq(err.code, code, "%s: %s", r.url, err.msg);
	cr_expect_neq(err.msg[0], '\0');
}

Test(httpc, takes_no_proxy_from_the_environment)
{
	struct httpc_request r = {.url = url("/")};
	struct httpc_answer a;

	cr_assert_eq(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	cr_assert_eq(httpc_call(&r, &a, NULL), 0);
	httpc_answer_free(&a);
}

Test(httpc, tells_failures_apart)
{
	char closed[LISTEN_ADDRESS_SIZE + 16], taken[LISTEN_ADDRESS_SIZE];
	struct err err = ERR_INIT;
	int fd;

	/* A port that nobody listens on any more. */
	cr_assert_eq(listen_open("0", 1, &fd, taken, &err), 0);
	(void)close(fd);
	(void)snprintf(closed, sizeof(closed), "http://%s/", taken);
	must_fail((struct httpc_request){.url = closed}, ERR_CONNECT);
	must_fail((struct httpc_request){.url = "http://no-such.invalid/"},
	    ERR_RESOLVE);
	must_fail(
	    (struct httpc_request){.url = "file:///etc/passwd"}, ERR_INVALID);
	must_fail(
	    (struct httpc_request){.url = url("/never"), .timeout_ms = 50},
	    ERR_TIMEOUT);
	must_fail((struct httpc_request){.url = url("/"), .max_bytes = 3},
	    ERR_TOO_LARGE);
	(void)snprintf(closed, sizeof(closed), "https://%s/", address);
	must_fail((struct httpc_request){.url = closed}, ERR_TLS);
}
