#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/event.h>

#include "base/buf.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include "net/fetch.h"

#include "sentry/reach.h"

/* Sentry answers in a second as a rule. */
#define TIMEOUT_MS 10000

#define ANSWER_MAX (1U << 20)

#define RETRY_AFTER_MAX_S 3600

struct reach_call {
	struct reach *reach;
	reach_done_cb *done;
	void *cookie;
	struct event *failed; /* It could not even be sent. */
	struct err err;
	TAILQ_ENTRY(reach_call) entry;
};

struct reach {
	struct event_base *base;
	const struct proxy *proxy;
	struct fetch *fetch;
	TAILQ_HEAD(reach_calls, reach_call) calls;
};

struct reach *
reach_create(struct event_base *base, const struct proxy *proxy)
{
	struct reach *reach = mem_zalloc(sizeof(*reach));

	TAILQ_INIT(&reach->calls);
	reach->base = base;
	reach->proxy = proxy;
	return reach;
}

static void
call_free(struct reach_call *call)
{
	TAILQ_REMOVE(&call->reach->calls, call, entry);
	if (call->failed != NULL)
		event_free(call->failed);
	free(call);
}

void
reach_free(struct reach *reach)
{
	struct reach_call *call;

	if (reach == NULL)
		return;
	fetch_free(reach->fetch);
	while ((call = TAILQ_FIRST(&reach->calls)) != NULL)
		call_free(call);
	free(reach);
}

/* Retry-After in seconds among "Name: value" lines. */
static uint64_t
retry_after_ms(const struct buf *headers)
{
	static const char name[] = "retry-after:";
	const char *line = buf_text(headers), *end;
	struct str value;
	uint64_t seconds;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		if (strncasecmp(line, name, sizeof(name) - 1) != 0)
			continue;
		line += sizeof(name) - 1;
		while (*line == ' ')
			line++;
		value = (struct str){line, (size_t)(end - line)};
		if (str_parse_u64(value, RETRY_AFTER_MAX_S, &seconds) == 0)
			return seconds * 1000;
	}
	return 0;
}

static void
on_done(void *cookie, struct fetch_result *result)
{
	struct reach_call *call = cookie;
	struct reach_answer answer = {.status = result->status,
	    .err = result->err,
	    .body = {buf_text(&result->body), result->body.len},
	    .retry_after_ms = retry_after_ms(&result->headers)};
	reach_done_cb *done = call->done;

	cookie = call->cookie;
	call_free(call);
	done(cookie, &answer);
	if (result->body.data != NULL)
		secret_wipe(result->body.data, result->body.len);
}

static void
on_failed(evutil_socket_t fd, short what, void *arg)
{
	struct reach_call *call = arg;
	struct reach_answer answer = {.err = call->err};
	reach_done_cb *done = call->done;
	void *cookie = call->cookie;

	(void)fd;
	(void)what;
	call_free(call);
	done(cookie, &answer);
}

/* libcurl with TLS takes megabytes: not before it is needed. */
static int
has_client(struct reach *reach, struct err *err)
{
	const struct fetch_options options = {.base = reach->base,
	    .proxy = reach->proxy,
	    .max_idle_connections = 1};

	if (reach->fetch == NULL)
		reach->fetch = fetch_create(&options, err);
	return reach->fetch != NULL;
}

void
reach_send(void *cookie, const struct reach_request *request,
    reach_done_cb *done, void *arg)
{
	struct reach *reach = cookie;
	struct reach_call *call = mem_zalloc(sizeof(*call));
	struct buf type = BUF_INIT, bearer = BUF_INIT;
	const char *headers[2];
	struct fetch_request fetch = {
	    .method = request->method,
	    .url = request->url,
	    .headers = headers,
	    .body = request->body,
	    .timeout_ms = TIMEOUT_MS,
	    .max_bytes = ANSWER_MAX,
	    .fresh = 1,
	    .done = on_done,
	    .cookie = call,
	};
	struct fetch_call *started;

	call->reach = reach;
	call->done = done;
	call->cookie = arg;
	TAILQ_INSERT_TAIL(&reach->calls, call, entry);
	buf_printf(&type, "Content-Type: %s", request->content_type);
	headers[fetch.nheaders++] = buf_text(&type);
	if (request->bearer != NULL) {
		buf_printf(
		    &bearer, "Authorization: Bearer %s", request->bearer);
		headers[fetch.nheaders++] = buf_text(&bearer);
	}
	if (!has_client(reach, &call->err) ||
	    fetch_start(reach->fetch, &fetch, &started, &call->err) == -1) {
		call->failed = event_new(reach->base, -1, 0, on_failed, call);
		event_active(call->failed, EV_TIMEOUT, 0);
	}
	if (bearer.data != NULL)
		secret_wipe(bearer.data, bearer.len);
	buf_free(&bearer);
	buf_free(&type);
}
