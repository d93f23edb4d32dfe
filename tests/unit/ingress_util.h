#ifndef UNIT_INGRESS_UTIL_H_
#define UNIT_INGRESS_UTIL_H_

/*
 * What the tests of the ingress share: a client that speaks to it over a raw
 * socket, and signed requests.
 */

#include <sys/socket.h>
#include <sys/time.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "catalog/routes.h"
#include "crypto/signature.h"
#include "ingress/ingress.h"

static struct catalog *util_catalog;
static struct ingress *util_ingress;

/* A request to be; NULL members are left out. */
struct ask {
	const char *method; /* NULL: POST */
	const char *path;   /* NULL: /webhook */
	const char *secret; /* NULL: "abc123"; "": no signature at all */
	const char *signature;
	const char *signature_name;
	const char *resource; /* NULL: issue; "": none */
	const char *headers;  /* Whole lines with their CRLF. */
	const char *body;
	size_t bodylen; /* 0: its length as text */
};

static struct {
	int status;
	char *text; /* All of it. */
	const char *body;
} util_answer;

static inline int
util_dial(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	    .sin_port = htons(ingress_port(util_ingress)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval tv = {20, 0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

static inline void
util_put_request(struct buf *out, const struct ask *ask)
{
	const char *secret = ask->secret == NULL ? "abc123" : ask->secret;
	size_t len = ask->bodylen > 0    ? ask->bodylen
		     : ask->body == NULL ? 0
					 : strlen(ask->body);
	struct signature_key *key;
	char hex[SIGNATURE_HEX + 1];

	buf_printf(out, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n",
	    ask->method == NULL ? "POST" : ask->method,
	    ask->path == NULL ? "/webhook" : ask->path);
	if (secret[0] != '\0' || ask->signature != NULL) {
		key = signature_key_create(secret, strlen(secret));
		signature_sign(key, ask->body, len, hex);
		signature_key_free(key);
		buf_printf(out, "%s: %s\r\n",
		    ask->signature_name == NULL ? "Sentry-Hook-Signature"
						: ask->signature_name,
		    ask->signature == NULL ? hex : ask->signature);
	}
	if (ask->resource == NULL || ask->resource[0] != '\0')
		buf_printf(out, "Sentry-Hook-Resource: %s\r\n",
		    ask->resource == NULL ? "issue" : ask->resource);
	if (ask->headers != NULL)
		buf_puts(out, ask->headers);
	buf_printf(out, "Content-Length: %zu\r\n\r\n", len);
	if (len > 0)
		buf_put(out, ask->body, len);
}

/* Read the whole answer into util_answer. */
static inline void
util_read(int fd)
{
	struct buf b = BUF_INIT;
	ssize_t n;

	free(util_answer.text);
	while ((n = recv(fd, buf_reserve(&b, 4096), 4096, 0)) > 0)
		b.len += (size_t)n;
	if (b.data != NULL)
		b.data[b.len] = '\0';
	(void)close(fd);
	util_answer.text = buf_take(&b);
	util_answer.status = 0;
	(void)sscanf(util_answer.text, "HTTP/1.1 %d ", &util_answer.status);
	util_answer.body = strstr(util_answer.text, "\r\n\r\n");
	util_answer.body = util_answer.body == NULL ? "" : util_answer.body + 4;
}

static inline int
util_send(struct ask ask)
{
	struct buf b = BUF_INIT;
	int fd = util_dial();

	util_put_request(&b, &ask);
	(void)send(fd, b.data, b.len, MSG_NOSIGNAL);
	buf_free(&b);
	return fd;
}

static inline void
util_ask(struct ask ask)
{
	util_read(util_send(ask));
}

#define ASK(...) util_ask((struct ask){__VA_ARGS__})

/* The last answer was this, to the letter. */
#define EXPECT(want_status, want_body)                                         \
	do {                                                                   \
		cr_expect_eq(                                                  \
		    util_answer.status, want_status, "%s", util_answer.text);  \
		cr_expect_str_eq(util_answer.body, want_body);                 \
		cr_expect_not_null(strstr(                                     \
		    util_answer.text, "Content-Type: application/json"));      \
	} while (0)

/* The last answer was that, and its body has this in it. */
#define EXPECT_IN(want_status, want_part)                                      \
	do {                                                                   \
		cr_expect_eq(                                                  \
		    util_answer.status, want_status, "%s", util_answer.text);  \
		cr_expect_not_null(strstr(util_answer.body, want_part), "%s",  \
		    util_answer.text);                                         \
	} while (0)

/* Scripts for most: "hook" for issues, "all" for everything of "acme". */
static inline struct routes *
util_routes(void)
{
	static const char *const on_issue[] = {"on_issue"};
	static const char *const on_event[] = {"on_event"};
	static const struct routes_script scripts[] = {
	    {"default", "hook", on_issue, 1}, {"acme", "all", on_event, 1}};

	return routes_create(util_catalog, scripts, 2);
}

static inline struct ingress_options
util_ingress_options(void)
{
	static const char *const secrets[] = {"abc123", "old-secret"};
	static const char *const acme[] = {"acme-secret", ""};
	static const struct ingress_integration integrations[] = {
	    {"default", secrets, 2}, {"acme", acme, 2}};

	return (struct ingress_options){.catalog = util_catalog,
	    .integrations = integrations,
	    .nintegrations = 2,
	    .host = "127.0.0.1",
	    .threads = 1,
	    .keep_unhandled = 1};
}

static inline void
util_start(struct ingress_options *o)
{
	struct err err = ERR_INIT;
	struct routes *routes;

	if (util_catalog == NULL)
		cr_assert_eq(catalog_open(NULL, 0, &util_catalog, &err), 0,
		    "%s", err.msg);
	o->catalog = util_catalog;
	routes = util_routes();
	o->routes = routes;
	cr_assert_eq(ingress_start(o, &util_ingress, &err), 0, "%s", err.msg);
	routes_unref(routes);
}

static inline void
util_stop(void)
{
	ingress_free(util_ingress);
	catalog_free(util_catalog);
	free(util_answer.text);
}

static inline char *
util_sample(const char *event)
{
	struct buf b = BUF_INIT;

	cr_assert_eq(catalog_sample(util_catalog, event, &b, NULL), 0);
	return buf_take(&b);
}

#endif /* !UNIT_INGRESS_UTIL_H_ */
