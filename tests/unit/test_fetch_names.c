/*
 * net/fetch and names that lead somewhere else each time (DNS rebinding).  The
 * real client with the real libcurl; what is not real is the resolver: this
 * program has a getaddrinfo() of its own, which libcurl's threads call as well.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <event2/event.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "net/fetch.h"
#include "net/guard.h"
#include "net/proxy.h"

/* Of a range that is for documentation: public as the guard sees it, and nobody
 * is there. */
#define OUTSIDE "203.0.113.1"

/* What the name means at its first look-up, its second, ...; the last one
 * stays.  Addresses with blanks between. */
static const char *answers[4];
static unsigned int lookups, total;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct event_base *base;
static struct guard *guard;
static struct proxy *proxy; /* NULL: none. */
static int listener;
static unsigned int port;

static struct addrinfo *
address(const char *ip, const char *service)
{
	struct addrinfo *ai = mem_zalloc(sizeof(*ai));
	struct sockaddr_in6 *v6 = mem_zalloc(sizeof(*v6));
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)v6;
	in_port_t to = htons((uint16_t)atoi(service == NULL ? "0" : service));

	ai->ai_socktype = SOCK_STREAM;
	ai->ai_addr = (struct sockaddr *)(void *)v6;
	if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = to;
		ai->ai_addrlen = sizeof(*v4);
	} else {
		cr_assert_eq(inet_pton(AF_INET6, ip, &v6->sin6_addr), 1);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = to;
		ai->ai_addrlen = sizeof(*v6);
	}
	ai->ai_family = ai->ai_addr->sa_family;
	return ai;
}

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
    struct addrinfo **ret)
{
	struct addrinfo *first = NULL, **next = &first;
	char *copy, *rest, *ip;

	if (strcmp(name, "rebind.test") != 0)
		return EAI_NONAME;
	(void)pthread_mutex_lock(&lock);
	copy = mem_strdup(answers[lookups]);
	if (lookups + 1 < NELEMS(answers) && answers[lookups + 1] != NULL)
		lookups++;
	total++;
	(void)pthread_mutex_unlock(&lock);
	for (rest = copy; (ip = strsep(&rest, " ")) != NULL;) {
		*next = address(ip, service);
		if (hints != NULL && hints->ai_family != AF_UNSPEC &&
		    hints->ai_family != (*next)->ai_family) {
			freeaddrinfo(*next);
			*next = NULL;
			continue;
		}
		next = &(*next)->ai_next;
	}
	free(copy);
	if (first == NULL)
		return EAI_NONAME;
	*ret = first;
	return 0;
}

void
freeaddrinfo(struct addrinfo *ai)
{
	struct addrinfo *next;

	for (; ai != NULL; ai = next) {
		next = ai->ai_next;
		free(ai->ai_addr);
		free(ai);
	}
}

static void
setup(void)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	cr_assert_eq(listen(listener, 64), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	port = ntohs(a.sin_port);
	base = event_base_new();
	guard = guard_create();
}

static void
teardown(void)
{
	(void)close(listener);
	guard_free(guard);
	proxy_free(proxy);
	event_base_free(base);
}

TestSuite(fetch_names, .init = setup, .fini = teardown, .timeout = 30);

struct outcome {
	int called;
	enum err_code code;
};

static void
on_done(void *cookie, struct fetch_result *result)
{
	struct outcome *o = cookie;

	o->called++;
	o->code = result->err.code;
}

/* What comes of a request to the name; a client of its own remembers no
 * address. */
static enum err_code
ask_by(const char *scheme)
{
	struct fetch_options options = {
	    .base = base, .guard = guard, .proxy = proxy};
	struct fetch *fetch = fetch_create(&options, NULL);
	struct outcome o = {0};
	char url[64];
	/* Nobody is outside: that much is waited for. */
	struct fetch_request r = {.method = "GET",
	    .url = url,
	    .timeout_ms = 200,
	    .max_bytes = 100,
	    .done = on_done,
	    .cookie = &o};
	struct fetch_call *call;

	(void)snprintf(url, sizeof(url), "%s://rebind.test:%u/", scheme, port);
	cr_assert_eq(fetch_start(fetch, &r, &call, NULL), 0);
	while (!o.called)
		(void)event_base_loop(base, EVLOOP_ONCE);
	fetch_free(fetch);
	return o.code;
}

static enum err_code
ask(void)
{
	return ask_by("http");
}

/* Whether anybody has connected to the listener. */
static int
was_reached(void)
{
	int fd = accept(listener, NULL, NULL);

	if (fd != -1)
		(void)close(fd);
	return fd != -1;
}

Test(fetch_names, a_name_that_turns_inwards_is_refused)
{
	enum err_code code;

	answers[0] = OUTSIDE;
	answers[1] = "127.0.0.1";
	code = ask();
	cr_expect(code == ERR_CONNECT || code == ERR_TIMEOUT, "%s",
	    err_code_name(code));
	cr_expect_eq(ask(), ERR_BLOCKED);
	cr_expect_not(was_reached());
	/* It is there, for who may. */
	guard_allow_loopback(guard);
	(void)ask();
	cr_expect(was_reached());
}

Test(fetch_names, an_inner_address_among_others_is_never_connected_to)
{
	const char *const mixed[] = {OUTSIDE " 127.0.0.1", "127.0.0.1 " OUTSIDE,
	    "::ffff:127.0.0.1 127.0.0.1", "::1 " OUTSIDE " 127.0.0.1"};
	size_t i;

	for (i = 0; i < NELEMS(mixed); i++) {
		answers[0] = mixed[i];
		cr_expect_neq(ask(), ERR_NONE, "%s", mixed[i]);
		cr_expect_not(was_reached(), "%s", mixed[i]);
	}
	guard_allow_loopback(guard);
	(void)ask();
	cr_expect(was_reached(), "the last of them leads there");
}

/* ---- with a proxy: the listener is one that takes requests and is silent ----
 */

static void
use_proxy(const char *scheme)
{
	char text[64];

	(void)snprintf(
	    text, sizeof(text), "%s://u:p@127.0.0.1:%u", scheme, port);
	cr_assert_eq(proxy_parse(text, &proxy, NULL), 0);
}

/* The first bytes that it was sent; "" if nobody came.  They were sent before
 * the request ended, so there is nothing to wait for. */
static const char *
was_sent(void)
{
	static char text[600];
	int fd = accept(listener, NULL, NULL);
	ssize_t n;

	text[0] = '\0';
	if (fd != -1) {
		n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
		text[n < 0 ? 0 : n] = '\0';
		(void)close(fd);
	}
	return text;
}

Test(fetch_names, a_tunnel_leads_to_the_address_that_was_checked)
{
	char want[80];

	/* Whoever looked it up again would get another. */
	answers[0] = "2001:db8:1::1 " OUTSIDE " 203.0.113.2";
	answers[1] = "127.0.0.1";
	use_proxy("http");
	cr_expect_eq(ask_by("https"), ERR_TIMEOUT);
	(void)snprintf(
	    want, sizeof(want), "CONNECT %s:%u HTTP/1.1\r\n", OUTSIDE, port);
	cr_expect_eq(strncmp(was_sent(), want, strlen(want)), 0);
	cr_expect_eq(total, 1);
	/* The next one does look, and is refused before the proxy hears. */
	cr_expect_eq(ask_by("https"), ERR_BLOCKED);
	cr_expect_eq(total, 2);
	cr_expect_not(was_reached());
}

Test(fetch_names, a_tunnel_leads_to_ipv6_where_there_is_nothing_else)
{
	char want[80];

	answers[0] = "2001:db8:1::1";
	use_proxy("http");
	cr_expect_eq(ask_by("https"), ERR_TIMEOUT);
	(void)snprintf(want, sizeof(want),
	    "CONNECT [2001:db8:1::1]:%u HTTP/1.1\r\n", port);
	cr_expect_eq(strncmp(was_sent(), want, strlen(want)), 0);
}

Test(fetch_names, a_proxy_hears_nothing_of_a_name_with_an_inner_address)
{
	const char *const mixed[] = {OUTSIDE " 127.0.0.1", "127.0.0.1 " OUTSIDE,
	    OUTSIDE " 203.0.113.2 10.0.0.1", "2001:db8:1::1 ::1",
	    "::1 2001:db8:1::1", OUTSIDE " ::1",
	    "2001:db8:1::1 " OUTSIDE " fd00::1 203.0.113.2"};
	const char *const schemes[] = {"http", "socks5h"};
	size_t i, k;

	for (k = 0; k < NELEMS(schemes); k++) {
		use_proxy(schemes[k]);
		for (i = 0; i < NELEMS(mixed); i++) {
			answers[0] = mixed[i];
			cr_expect_eq(ask(), ERR_BLOCKED, "%s", mixed[i]);
			cr_expect_eq(
			    ask_by("https"), ERR_BLOCKED, "%s", mixed[i]);
			cr_expect_not(was_reached(), "%s", mixed[i]);
		}
		proxy_free(proxy);
		proxy = NULL;
	}
}

Test(fetch_names, a_proxy_that_is_moonpost_itself_is_refused)
{
	answers[0] = OUTSIDE;
	use_proxy("http");
	guard_refuse_listener(guard, (uint16_t)port);
	guard_allow_private(guard);
	cr_expect_eq(ask(), ERR_BLOCKED);
	cr_expect_not(was_reached());
}
