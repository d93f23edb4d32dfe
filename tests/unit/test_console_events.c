/*
 * Server-sent events: what is kept, and who is cut off.
 */

#include <sys/socket.h>

#include <arpa/inet.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "console/events.h"
#include "net/httpd.h"
#include "net/listen.h"
#include "net/loop.h"

#define BIG 65536

static struct loop *loop;
static struct httpd *httpd;
static struct events *events;
static unsigned int port;
static sem_t done;
static char big[BIG];

static void
handle(struct httpd_request *req, void *cookie)
{
	(void)cookie;
	events_follow(events, req);
	(void)sem_post(&done);
}

static void
begin(void)
{
	struct httpd_options o = {.handle = handle};
	char address[LISTEN_ADDRESS_SIZE], host[64];
	struct err err = ERR_INIT;
	int fd;

	log_setup(LOG_FORMAT_JSON, LOG_ERROR, 0);
	(void)sem_init(&done, 0, 0);
	(void)memset(big, 'x', sizeof(big));
	cr_assert_eq(loop_create(16, &loop, &err), 0);
	cr_assert_eq(listen_open("0", 1, &fd, address, &err), 0);
	cr_assert_eq(listen_split(address, host, sizeof(host), &port, &err), 0);
	cr_assert_eq(httpd_create(loop, fd, &o, &httpd, &err), 0);
	events = events_create(loop);
	cr_assert_eq(loop_start(loop, "httpd", &err), 0);
}

static void
end(void)
{
	loop_stop(loop);
	loop_join(loop);
	events_free(events);
	httpd_free(httpd);
	loop_free(loop);
	(void)sem_destroy(&done);
}

TestSuite(console_events, .init = begin, .fini = end, .timeout = 60);

/* Connect, and follow. */
static int
follow(const char *last)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
	char text[256];
	int n;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	n = snprintf(text, sizeof(text),
	    "GET / HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n",
	    last == NULL ? "" : "Last-Event-ID: ", last == NULL ? "" : last,
	    last == NULL ? "" : "\r\n");
	cr_assert_eq(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
	(void)sem_wait(&done);
	return fd;
}

static void
run(loop_cb *cb, void *cookie)
{
	loop_call(loop, cb, cookie);
	(void)sem_wait(&done);
}

static void
put_small(void *cookie)
{
	events_put(events, "job", str_of(cookie));
	(void)sem_post(&done);
}

static void
put_much(void *cookie)
{
	int i;

	for (i = 0; i < *(int *)cookie; i++)
		events_put(events, "job", (struct str){big, sizeof(big)});
	(void)sem_post(&done);
}

/* Read until ${text} came, or the end (NULL).  Returns what came. */
static size_t
read_until(int fd, const char *text, struct buf *got)
{
	ssize_t n;

	while (text == NULL || strstr(buf_text(got), text) == NULL) {
		(void)buf_reserve(got, BIG);
		n = recv(fd, got->data + got->len, BIG, 0);
		if (n <= 0) {
			cr_assert_null(text, "it ended before %s", text);
			break;
		}
		got->len += (size_t)n;
		got->data[got->len] = '\0';
	}
	return got->len;
}

Test(console_events, keeps_nothing_for_nobody)
{
	struct buf got = BUF_INIT;
	int fd;

	cr_expect_not(events_are_wanted(events));
	run(put_small, "{\"n\":1}");
	fd = follow("5");
	cr_expect(events_are_wanted(events));
	run(put_small, "{\"n\":2}");
	(void)read_until(fd, "{\"n\":2}", &got);
	cr_expect_null(strstr(got.data, "{\"n\":1}"));
	cr_expect_not_null(strstr(got.data, "event: reset"));
	buf_free(&got);
	(void)close(fd);
}

Test(console_events, gives_what_was_missed_from_an_id_on)
{
	struct buf got = BUF_INIT;
	char id[32];
	int fd;

	fd = follow(NULL);
	run(put_small, "{\"n\":1}");
	(void)read_until(fd, "{\"n\":1}\n\n", &got);
	(void)snprintf(id, sizeof(id), "%.*s",
	    (int)strcspn(strstr(got.data, "id: ") + 4, "\n"),
	    strstr(got.data, "id: ") + 4);
	(void)close(fd);
	run(put_small, "{\"n\":2}");
	buf_reset(&got);
	fd = follow(id);
	run(put_small, "{\"n\":3}");
	(void)read_until(fd, "{\"n\":3}", &got);
	cr_expect_null(strstr(got.data, "{\"n\":1}"));
	cr_expect_not_null(strstr(got.data, "{\"n\":2}"));
	cr_expect_null(strstr(got.data, "reset"));
	buf_free(&got);
	(void)close(fd);
}

Test(console_events, forgets_the_oldest)
{
	struct buf got = BUF_INIT;
	char id[32];
	int fd, much = 100;

	fd = follow(NULL);
	run(put_small, "{\"n\":1}");
	(void)read_until(fd, "{\"n\":1}\n\n", &got);
	(void)snprintf(id, sizeof(id), "%.*s",
	    (int)strcspn(strstr(got.data, "id: ") + 4, "\n"),
	    strstr(got.data, "id: ") + 4);
	(void)close(fd);
	run(put_small, "{\"n\":2}");
	run(put_much, &much);
	run(put_small, "{\"n\":3}");
	buf_reset(&got);
	fd = follow(id);
	(void)read_until(fd, "{\"n\":3}", &got);
	cr_expect_not_null(strstr(got.data, "event: reset"));
	cr_expect_null(strstr(got.data, "{\"n\":2}"));
	cr_expect_lt(got.len, 5U << 20);
	buf_free(&got);
	(void)close(fd);
}

Test(console_events, cuts_off_who_does_not_read)
{
	struct buf got = BUF_INIT;
	int slow = follow(NULL), much = 400, other;

	run(put_much, &much);
	other = follow(NULL);
	run(put_small, "{\"n\":1}");
	(void)read_until(other, "{\"n\":1}", &got);
	buf_reset(&got);

	/* It gets what was there until then, and the end. */
	cr_expect_lt(read_until(slow, NULL, &got), 400U * BIG);
	cr_expect_null(strstr(got.data, "{\"n\":1}"));
	buf_free(&got);
	(void)close(slow);
	(void)close(other);
}
