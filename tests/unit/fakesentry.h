#ifndef UNIT_FAKESENTRY_H_
#define UNIT_FAKESENTRY_H_

/*
 * Sentry as the vault sees it, in memory: codes and refresh tokens work once,
 * and what breaks that rule fails the test.  In the place of reach_send().
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <event2/event.h>

#include "base/buf.h"
#include "base/mem.h"
#include "sentry/reach.h"
#include "json/jdoc.h"

#define FAKE_UUID "7a485448-a9e2-4c85-8a3c-4f44175783c9"
#define FAKE_CODE "code-canary-1"
#define FAKE_JWT_GRANT "urn:sentry:params:oauth:grant-type:jwt-bearer"

struct fake_request {
	char *line; /* "POST URL" */
	char *bearer;
	char *body;
};

struct fake_call {
	struct event *event;
	reach_done_cb *done;
	void *cookie;
	struct reach_answer answer;
	struct buf body;
	int dropped; /* Never answered but by a failure. */
};

static struct {
	struct event_base *base;
	uint64_t now_unix_ms;
	char code[64]; /* That works; empty: none. */
	char refresh[64];
	char token[64];
	int lifetime_s;
	unsigned int issued; /* Tokens so far. */
	unsigned int exchanges, refreshes, jwts, verifies;
	char sent_codes[1024]; /* Each once, with a blank behind. */
	char sent_refreshes[1024];
	int drop;       /* So many answers are lost, after they count. */
	int fail;       /* So many requests are answered 503 and do nothing. */
	int refuse_jwt; /* So many JWT grants are answered 401. */
	int verified;
	struct fake_request requests[200];
	size_t nrequests;
} sentry;

static uint64_t
fake_now(void)
{
	return sentry.now_unix_ms;
}

static void
fake_answer(evutil_socket_t fd, short what, void *arg)
{
	struct fake_call *call = arg;

	(void)fd;
	(void)what;
	if (call->dropped)
		(void)err_set(
		    &call->answer.err, ERR_CONNECT, "the connection was reset");
	else
		call->answer.body =
		    (struct str){buf_text(&call->body), call->body.len};
	call->done(call->cookie, &call->answer);
	event_free(call->event);
	buf_free(&call->body);
	free(call);
}

/* What is sent a second time is a fault. */
static void
fake_once(char *all, size_t size, const char *what)
{
	size_t len = strlen(all);

	cr_assert_null(strstr(all, what), "%s is sent again", what);
	(void)snprintf(all + len, size - len, "%s ", what);
}

static void
fake_issue(struct buf *body)
{
	time_t end = (time_t)(sentry.now_unix_ms / 1000) + sentry.lifetime_s;
	struct tm tm;
	char text[40];

	sentry.issued++;
	(void)snprintf(sentry.token, sizeof(sentry.token), "token-canary-%u",
	    sentry.issued);
	(void)snprintf(sentry.refresh, sizeof(sentry.refresh),
	    "refresh-canary-%u", sentry.issued);
	(void)strftime(
	    text, sizeof(text), "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&end, &tm));
	buf_printf(body,
	    "{\"id\":\"38\",\"token\":\"%s\",\"refreshToken\":\"%s\","
	    "\"dateCreated\":null,\"expiresAt\":\"%s\",\"state\":null,"
	    "\"application\":null}",
	    sentry.token, sentry.refresh, text);
}

static unsigned int
fake_authorize(const struct reach_request *request, const struct jval *in,
    struct buf *body)
{
	char *grant, *value = NULL;
	unsigned int status = 201;

	grant = mem_strndup(jdoc_get_str(in, "grant_type").data,
	    jdoc_get_str(in, "grant_type").len);
	if (strcmp(grant, "authorization_code") == 0) {
		sentry.exchanges++;
		value = mem_strndup(jdoc_get_str(in, "code").data,
		    jdoc_get_str(in, "code").len);
		fake_once(sentry.sent_codes, sizeof(sentry.sent_codes), value);
		if (strcmp(value, sentry.code) != 0)
			status = 401;
		sentry.code[0] = '\0';
	} else if (strcmp(grant, "refresh_token") == 0) {
		sentry.refreshes++;
		value = mem_strndup(jdoc_get_str(in, "refresh_token").data,
		    jdoc_get_str(in, "refresh_token").len);
		fake_once(sentry.sent_refreshes, sizeof(sentry.sent_refreshes),
		    value);
		if (strcmp(value, sentry.refresh) != 0)
			status = 401;
	} else {
		cr_assert_str_eq(grant, FAKE_JWT_GRANT);
		cr_assert_not_null(request->bearer);
		sentry.jwts++;
		if (sentry.refuse_jwt > 0) {
			sentry.refuse_jwt--;
			status = 401;
		}
	}
	if (status == 201)
		fake_issue(body);
	else
		buf_puts(body, "{\"detail\":\"Could not find grant\"}");
	free(grant);
	free(value);
	return status;
}

static unsigned int
fake_serve(const struct reach_request *request, struct buf *body)
{
	struct jdoc doc = {0};
	unsigned int status;

	cr_assert_eq(
	    jdoc_parse(&doc, request->body.data, request->body.len, NULL, NULL),
	    0);
	if (strstr(request->url, "/authorizations/") != NULL) {
		status = fake_authorize(request, jdoc_root(&doc), body);
	} else {
		sentry.verifies++;
		status = strcmp(request->bearer, sentry.token) == 0 ? 200 : 401;
		sentry.verified |= status == 200;
		buf_puts(body,
		    "{\"app\":{\"uuid\":\"64bf2cf4-37ca-4365-8dd3-"
		    "6b6e56d741b8\",\"slug\":\"our-app\"},"
		    "\"organization\":{\"slug\":\"acme\"},"
		    "\"uuid\":\"" FAKE_UUID "\",\"status\":\"installed\"}");
	}
	jdoc_free(&doc);
	return status;
}

static void
fake_send(void *reach, const struct reach_request *request, reach_done_cb *done,
    void *cookie)
{
	struct fake_call *call = mem_zalloc(sizeof(*call));
	struct fake_request *kept = &sentry.requests[sentry.nrequests++];

	(void)reach;
	cr_assert_lt(sentry.nrequests, NELEMS(sentry.requests));
	kept->line = mem_printf("%s %s", request->method, request->url);
	kept->bearer = mem_strdup(request->bearer);
	kept->body = mem_strndup(request->body.data, request->body.len);
	cr_assert_str_eq(request->content_type, "application/json");
	call->done = done;
	call->cookie = cookie;
	if (sentry.fail > 0) {
		sentry.fail--;
		call->answer.status = 503;
		call->answer.retry_after_ms = 2000;
	} else {
		call->answer.status = fake_serve(request, &call->body);
		if (sentry.drop > 0) {
			sentry.drop--;
			call->answer.status = 0;
			call->dropped = 1;
		}
	}
	call->event = event_new(sentry.base, -1, 0, fake_answer, call);
	event_active(call->event, EV_TIMEOUT, 0);
}

static void
fake_begin(struct event_base *base)
{
	sentry.base = base;
	sentry.now_unix_ms = 1800000000000;
	sentry.lifetime_s = 8 * 3600;
	(void)strcpy(sentry.code, FAKE_CODE);
}

static void
fake_end(void)
{
	size_t i;

	for (i = 0; i < sentry.nrequests; i++) {
		free(sentry.requests[i].line);
		free(sentry.requests[i].bearer);
		free(sentry.requests[i].body);
	}
}

#endif /* !UNIT_FAKESENTRY_H_ */
