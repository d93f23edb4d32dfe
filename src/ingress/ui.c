#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/form.h"
#include "base/mailbox.h"
#include "base/mem.h"
#include "net/httpd.h"
#include "net/loop.h"
#include "json/jwrite.h"

#include "ingress/ingress_internal.h"

/* Requests of one thread that wait for scripts; more are answered 503. */
#define PENDING_MAX 256

/* Links beside stack frames are not signed: so many a second an address. */
#define LINKS_PER_SECOND 10.0

/* How many places are looked at for the one of an address. */
#define PROBES 8

#define OPTIONS "options/"
#define STACKTRACE "stacktrace-link"

/* A request that a script has. */
struct ingress_pending {
	struct ingress_pending *next;
	struct ingress_thread *thread;
	struct httpd_request *req;
	struct site_config *config; /* A reference: the integration's name. */
	char *route;
};

enum endpoint
ui_find(struct str route)
{
	size_t i;

	if (str_eq(route, STR("alert-rule-action")) ||
	    str_eq(route, STR("issue-link/create")) ||
	    str_eq(route, STR("issue-link/link")))
		return ENDPOINT_UI_POST;
	if (str_eq(route, STR(STACKTRACE)))
		return ENDPOINT_UI_GET;
	if (route.len <= strlen(OPTIONS) ||
	    memcmp(route.data, OPTIONS, strlen(OPTIONS)) != 0)
		return ENDPOINT_NONE;
	for (i = strlen(OPTIONS); i < route.len; i++)
		if (route.data[i] == '/' || route.data[i] == '\0')
			return ENDPOINT_NONE;
	return ENDPOINT_UI_GET;
}

/* ---- there and back -------------------------------------------------------
 */

void
ingress_ui_free(struct ingress_ui *ui)
{
	buf_free(&ui->request);
	buf_free(&ui->body);
	free(ui->location);
	free(ui);
}

/* Take it off the list.  Its request stays to be answered. */
static void
pending_free(struct ingress_pending *p)
{
	struct ingress_thread *t = p->thread;
	struct ingress_pending **at;

	for (at = &t->pending; *at != p; at = &(*at)->next)
		;
	*at = p->next;
	t->npending--;
	site_config_unref(p->config);
	free(p->route);
	free(p);
}

/* It has come back, on its thread. */
static void
returned(struct mail *mail)
{
	struct ingress_ui *ui = (struct ingress_ui *)mail;
	struct ingress_pending *p = ui->pending;
	struct httpd_header headers[6] = {{"Content-Type",
	    ui->is_page ? "text/html; charset=utf-8" : "application/json"}};
	size_t n = 1;

	/* There may be a code in the address of a page. */
	if (ui->is_page) {
		headers[n++] =
		    (struct httpd_header){"Cache-Control", "no-store"};
		headers[n++] =
		    (struct httpd_header){"Referrer-Policy", "no-referrer"};
		headers[n++] = (struct httpd_header){"Content-Security-Policy",
		    "default-src 'none'; style-src 'unsafe-inline'; "
		    "frame-ancestors 'none'"};
	}
	if (ui->location != NULL)
		headers[n++] = (struct httpd_header){"Location", ui->location};
	httpd_reply(p->req, ui->status, headers, n,
	    (struct str){ui->body.data, ui->body.len});
	pending_free(p);
	ingress_ui_free(ui);
}

void
ingress_ui_return(struct ingress_ui *ui)
{
	ui->mail.open = returned;
	mailbox_put(ui->reply_to, &ui->mail);
}

void
ui_free_pending(struct ingress_thread *t)
{
	struct ingress_pending *p;
	struct httpd_request *req;

	if (t->loop != NULL)
		mailbox_open_all(loop_mailbox(t->loop));
	while ((p = t->pending) != NULL) {
		req = p->req;
		pending_free(p);
		/* Convince static analysers that it is off the list. */
		assert(p != t->pending);
		httpd_reply_error(req, 503, "stopping", NULL);
	}
}

/* Have ${answer} see to ${request}, which is consumed. */
static void
ask_by(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, struct str route, struct buf *request,
    ingress_ui_cb *answer, void *cookie)
{
	struct ingress_pending *p;
	struct ingress_ui *ui;

	if (t->npending >= PENDING_MAX || answer == NULL) {
		buf_free(request);
		if (answer == NULL)
			httpd_reply_error(req, 404, "not_found",
			    "this integration has no such component");
		else
			httpd_reply_error(req, 503, "overloaded",
			    "The integration is busy: try again");
		return;
	}
	p = mem_zalloc(sizeof(*p));
	p->thread = t;
	p->req = req;
	p->config = site_config_ref(t->config);
	p->route = mem_strndup(route.data, route.len);
	p->next = t->pending;
	t->pending = p;
	t->npending++;

	ui = mem_zalloc(sizeof(*ui));
	ui->integration = site->name;
	ui->route = p->route;
	ui->request = *request;
	ui->reply_to = loop_mailbox(t->loop);
	ui->pending = p;
	answer(cookie, ui);
}

/* Have a script answer it. */
static void
ask(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, struct str route, struct buf *request)
{
	ask_by(t, req, site, route, request, t->ingress->ui,
	    t->ingress->ui_cookie);
}

/* ---- the way in -----------------------------------------------------------
 */

/* The query as an object of texts.  Returns -1 if it is malformed. */
static int
put_query(struct buf *out, struct str query)
{
	struct jwrite w = jwrite_begin(out, 0);
	struct buf name = BUF_INIT, value = BUF_INIT;
	int rc = 0;

	jwrite_object(&w);
	while (query.len > 0 && (rc = form_next(&query, &name, &value)) == 1) {
		jwrite_keyn(&w, (struct str){buf_text(&name), name.len});
		jwrite_str(&w, (struct str){buf_text(&value), value.len});
	}
	jwrite_object_end(&w);
	buf_free(&name);
	buf_free(&value);
	return rc == -1 ? -1 : 0;
}

/* Whether the address may ask for one more link just now. */
static int
may_ask(struct ingress_thread *t, const char *peer)
{
	uint64_t hash = str_hash(str_of(peer));
	struct ui_asker *a, *oldest = NULL;
	size_t i;

	for (i = 0; i < PROBES; i++) {
		a = &t->askers[(hash + i) % UI_ASKERS];
		if (a->hash == hash)
			return bucket_take(
			    &a->bucket, LINKS_PER_SECOND, LINKS_PER_SECOND);
		if (oldest == NULL ||
		    a->bucket.last_mono_ms < oldest->bucket.last_mono_ms)
			oldest = a;
	}
	*oldest = (struct ui_asker){.hash = hash};
	return bucket_take(&oldest->bucket, LINKS_PER_SECOND, LINKS_PER_SECOND);
}

static void
answer_429(struct httpd_request *req)
{
	const struct httpd_header headers[] = {
	    {"Content-Type", "application/json"}, {"Retry-After", "1"}};

	httpd_reply(req, 429, headers, NELEMS(headers),
	    STR("{\"error\":\"rate_limited\",\"message\":\"Too many requests "
		"at a "
		"time: try again\"}"));
}

static void
handle_get(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, struct str route)
{
	struct buf request = BUF_INIT;

	/* A link is followed by a browser.  What asks for options is signed,
	 * though not its query: there is no body, so it is the empty one. */
	if (str_eq(route, STR(STACKTRACE))) {
		if (!may_ask(t, httpd_peer(req))) {
			answer_429(req);
			return;
		}
	} else if (!webhook_is_signed(t, req, site, STR(""))) {
		return;
	}
	if (put_query(&request, httpd_query(req)) == -1) {
		buf_free(&request);
		httpd_reply_error(req, 400, "bad_request",
		    "the query is not percent-encoded text");
		return;
	}
	ask(t, req, site, route, &request);
}

static void
handle_post(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, struct str route)
{
	struct str body = httpd_body(req);
	struct buf request = BUF_INIT;
	struct err err = ERR_INIT;

	if (webhook_is_other_type(t, req, site) ||
	    !webhook_is_signed(t, req, site, body))
		return;
	if (jdoc_parse(&t->doc, body.data, body.len, NULL, &err) == -1 ||
	    jval_kind(jdoc_root(&t->doc)) != JDOC_OBJECT) {
		httpd_reply_error(req, 400, "invalid_json",
		    err.code == ERR_NONE ? "the body must be a JSON object"
					 : err.msg);
		return;
	}
	buf_put(&request, body.data, body.len);
	ask(t, req, site, route, &request);
}

void
ui_handle(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, struct str route)
{
	if (httpd_method(req) == HTTPD_GET)
		handle_get(t, req, site, route);
	else
		handle_post(t, req, site, route);
}

void
page_handle(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, struct str route)
{
	struct buf request = BUF_INIT;

	/* Nobody has signed it. */
	if (!may_ask(t, httpd_peer(req))) {
		answer_429(req);
		return;
	}
	if (put_query(&request, httpd_query(req)) == -1) {
		buf_free(&request);
		httpd_reply_error(req, 400, "bad_request",
		    "the query is not percent-encoded text");
		return;
	}
	ask_by(t, req, site, route, &request, t->ingress->page,
	    t->ingress->page_cookie);
}
