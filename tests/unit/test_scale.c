/*
 * What a run that waits costs, in memory: a sleep, and a request that nobody
 * answers.  The same with thousands of them is `make bench-scale`.
 */

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "script_fixture.h"

#include "base/compiler.h"
#include "net/fetch.h"
#include "net/guard.h"

/* Of which numbers are taken. */
#define SLEEPS 1000
#define REQUESTS 200

#define SLEEP_BYTES_MAX 2048
#define REQUEST_BYTES_MAX 32768

static const char body[] =
    "{\"action\":\"created\",\"data\":{\"issue\":{\"id\":\"1\",\"title\":"
    "\"Boom\",\"level\":\"error\"}},\"installation\":{\"uuid\":\"u\"}}";

static struct guard *guard;
static struct fetch *fetch;
static int listener = -1;
static size_t nended;

static struct fetch *
give_fetch(void *cookie, int to_sentry)
{
	(void)cookie;
	(void)to_sentry;
	return fetch;
}

static void
count_end(void *cookie, uint64_t job, const struct proto_outcome *outcome)
{
	(void)cookie;
	(void)job;
	cr_assert_eq(outcome->result, PROTO_DONE, "%s", outcome->error);
	nended++;
}

static void
setup(void)
{
	struct fetch_options options = {0};
	struct err err = ERR_INIT;

	fix_setup();
	env.limits.mem_bytes = 256U << 20;
	env.limits.handler_ms = 60000;
	env.host.fetch = give_fetch;
	env.done = count_end;
	guard = guard_create();
	guard_allow_loopback(guard);
	options.base = env.base;
	options.guard = guard;
	options.max_idle_connections = 16;
	fetch = fetch_create(&options, &err);
	cr_assert_not_null(fetch, "%s", err.msg);
}

static void
teardown(void)
{
	bundle_free(bundle);
	bundle = NULL;
	fetch_free(fetch);
	guard_free(guard);
	if (listener != -1)
		(void)close(listener);
	fix_teardown();
}

TestSuite(scale, .init = setup, .fini = teardown, .timeout = 60);

/* Bytes in use, of Lua and of C. */
static size_t
in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* What each of ${n} runs of ${source} has in use when all have begun. */
static size_t
cost(const char *source, size_t n)
{
	size_t before, i;

	fix_load(source);
	before = in_use();
	for (i = 1; i <= n; i++)
		fix_start(i, body);
	return (in_use() - before) / n;
}

Test(scale, a_sleep_is_small)
{
	/* An event that is kept, without a run that waits. */
	size_t event = cost("kept = {} "
			    "function on_x(event) kept[#kept + 1] = event end",
	    SLEEPS);
	size_t sleep = cost("function on_x(event) sleep(30) end", SLEEPS);

	cr_log_info(
	    "a sleep: %zu bytes, and its event: %zu", sleep - event, event);
	if (INSTRUMENTED)
		return; /* Its malloc does not count. */
	cr_expect_gt(event, 500);
	cr_expect_gt(sleep, event);
	cr_expect_lt(sleep - event, SLEEP_BYTES_MAX, "%zu", sleep - event);
}

Test(scale, a_request_is_small)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = -1, fds[REQUESTS];
	char *source, text[1024];
	size_t before, request, i;

	/* The kernel takes the connections, and nobody ever answers. */
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	cr_assert_eq(listen(listener, REQUESTS), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	source = mem_printf("function on_x(event) http.post("
			    "'http://127.0.0.1:%u/', { json = { n = 1 }, "
			    "timeout = 30 }) end",
	    ntohs(a.sin_port));
	fix_load(source);
	free(source);
	before = in_use();
	for (i = 1; i <= REQUESTS; i++)
		fix_start(i, body);
	/* Until all have been sent, and wait. */
	for (i = 0; i < REQUESTS;) {
		cr_assert_neq(event_base_loop(env.base, EVLOOP_NONBLOCK), -1);
		fd = fd == -1 ? accept(listener, NULL, NULL) : fd;
		if (fd != -1 &&
		    recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0) {
			fds[i++] = fd;
			fd = -1;
		}
	}
	cr_assert_eq(nended, 0);
	request = (in_use() - before) / REQUESTS;

	for (i = 0; i < REQUESTS; i++)
		(void)close(fds[i]);
	cr_log_info("a request: %zu bytes", request);
	if (INSTRUMENTED)
		return;
	cr_expect_gt(request, 1000);
	cr_expect_lt(request, REQUEST_BYTES_MAX, "%zu", request);
}
