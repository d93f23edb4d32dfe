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

	(void)hints; /* Also where there is no IPv6. */
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
		next = &(*next)->ai_next;
	}
	free(copy);
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

static unsigned int
times_looked_up(void)
{
	unsigned int n;

	(void)pthread_mutex_lock(&lock);
	n = total;
	(void)pthread_mutex_unlock(&lock);
	return n;
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

/* What comes of a request to the name within ${ms}, or until ${enough} says so;
 * a client of its own remembers no address. */
static enum err_code
ask(const char *scheme, uint64_t ms, int (*enough)(void))
{
	struct fetch_options options = {
	    .base = base, .guard = guard, .proxy = proxy};
	struct fetch *fetch = fetch_create(&options, NULL);
	struct outcome o = {0};
	char url[64];
	struct fetch_request r = {.method = "GET",
	    .url = url,
	    .timeout_ms = ms,
	    .max_bytes = 100,
	    .done = on_done,
	    .cookie = &o};
	struct fetch_call *call;

	(void)snprintf(url, sizeof(url), "%s://rebind.test:%u/", scheme, port);
	cr_assert_eq(fetch_start(fetch, &r, &call, NULL), 0);
	while (!o.called && (enough == NULL || !enough())) {
		(void)event_base_loop(
		    base, enough == NULL ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
		if (enough != NULL)
			(void)usleep(1000);
	}
	fetch_free(fetch);
	return o.code;
}

/* For an end that comes by itself. */
#define PATIENCE_MS 20000

/* For one that does not, as nobody is outside: whatever is not done by then, it
 * is no failure. */
#define OUTSIDE_MS 200

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
	code = ask("http", OUTSIDE_MS, NULL);
	cr_expect(code == ERR_CONNECT || code == ERR_TIMEOUT, "%s",
	    err_code_name(code));
	while (times_looked_up() == 0)
		(void)usleep(1000);
	cr_expect_eq(ask("http", PATIENCE_MS, NULL), ERR_BLOCKED);
	cr_expect_not(was_reached());
	/* It is there, for who may. */
	guard_allow_loopback(guard);
	cr_expect_eq(ask("http", PATIENCE_MS, was_reached), ERR_NONE);
}

Test(fetch_names, an_inner_address_among_others_is_never_connected_to)
{
	const char *const mixed[] = {OUTSIDE " 127.0.0.1", "127.0.0.1 " OUTSIDE,
	    "::ffff:127.0.0.1 127.0.0.1", "::1 " OUTSIDE " 127.0.0.1"};
	size_t i;

	for (i = 0; i < NELEMS(mixed); i++) {
		answers[0] = mixed[i];
		cr_expect_neq(
		    ask("http", OUTSIDE_MS, NULL), ERR_NONE, "%s", mixed[i]);
		cr_expect_not(was_reached(), "%s", mixed[i]);
	}
	guard_allow_loopback(guard);
	answers[0] = "127.0.0.1";
	cr_expect_eq(ask("http", PATIENCE_MS, was_reached), ERR_NONE);
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

static char sent[600]; /* To it, by who came first. */
static int sender = -1;

/* Whether that is all of a request. */
static int
was_sent(void)
{
	size_t len = strlen(sent);
	ssize_t n;

	if (sender == -1)
		sender = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	n = sender == -1 ? 0
			 : recv(sender, sent + len, sizeof(sent) - 1 - len, 0);
	if (n > 0)
		sent[len + (size_t)n] = '\0';
	return strstr(sent, "\r\n\r\n") != NULL;
}

static void
expect_sent(const char *scheme, const char *want)
{
	cr_expect_eq(ask(scheme, PATIENCE_MS, was_sent), ERR_NONE);
	sent[strcspn(sent, "\r")] = '\0';
	cr_expect_str_eq(sent, want);
	(void)close(sender);
	sender = -1;
	sent[0] = '\0';
}

Test(fetch_names, a_tunnel_leads_to_the_address_that_was_checked)
{
	char want[80];

	/* Whoever looked it up again would get another. */
	answers[0] = "2001:db8:1::1 " OUTSIDE " 203.0.113.2";
	answers[1] = "127.0.0.1";
	use_proxy("http");
	(void)snprintf(
	    want, sizeof(want), "CONNECT %s:%u HTTP/1.1", OUTSIDE, port);
	expect_sent("https", want);
	cr_expect_eq(times_looked_up(), 1);
	/* The next one does look, and is refused before the proxy hears. */
	cr_expect_eq(ask("https", PATIENCE_MS, NULL), ERR_BLOCKED);
	cr_expect_eq(times_looked_up(), 2);
	cr_expect_not(was_reached());
}

Test(fetch_names, a_tunnel_leads_to_ipv6_where_there_is_nothing_else)
{
	char want[80];

	answers[0] = "2001:db8:1::1";
	use_proxy("http");
	(void)snprintf(
	    want, sizeof(want), "CONNECT [2001:db8:1::1]:%u HTTP/1.1", port);
	expect_sent("https", want);
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
			cr_expect_eq(ask("http", PATIENCE_MS, NULL),
			    ERR_BLOCKED, "%s", mixed[i]);
			cr_expect_eq(ask("https", PATIENCE_MS, NULL),
			    ERR_BLOCKED, "%s", mixed[i]);
			cr_expect_not(was_reached(), "%s", mixed[i]);
		}
		proxy_free(proxy);
		proxy = NULL;
	}
}

Test(fetch_names, a_whole_url_has_the_name)
{
	char want[80];

	answers[0] = OUTSIDE;
	use_proxy("http");
	(void)snprintf(
	    want, sizeof(want), "GET http://rebind.test:%u/ HTTP/1.1", port);
	expect_sent("http", want);
}

Test(fetch_names, a_proxy_that_is_moonpost_itself_is_refused)
{
	answers[0] = OUTSIDE;
	use_proxy("http");
	guard_refuse_listener(guard, (uint16_t)port);
	guard_allow_private(guard);
	cr_expect_eq(ask("http", PATIENCE_MS, NULL), ERR_BLOCKED);
	cr_expect_not(was_reached());
}
