#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/form.h"
#include "base/mem.h"
#include "net/httpd.h"
#include "net/loop.h"
#include "store/store.h"
#include "json/jwrite.h"

#include "console/access.h"
#include "console/console_internal.h"
#include "console/events.h"
#include "console/query.h"
#include "console/redact.h"

/* For one person and a few programs; what follows the events counts, too. */
#define MAX_CONNECTIONS 256

static const char page[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<title>moonpost</title>\n"
    "<h1>moonpost</h1>\n"
    "<p>The API of this host, as JSON:</p>\n<ul>\n"
    "<li><a href=\"/api/deliveries\">/api/deliveries</a>: what came in "
    "(state, resource, action, script, integration, since, until, q, limit, "
    "before)</li>\n"
    "<li>/api/deliveries/ID: one of them with headers, payload, runs and their "
    "log</li>\n"
    "<li><a href=\"/api/scripts\">/api/scripts</a>: the scripts and what "
    "waits for them</li>\n"
    "<li>/api/events: what happens, as it happens (server-sent events)</li>\n"
    "<li><a href=\"/metrics\">/metrics</a>: numbers for Prometheus</li>\n"
    "</ul>\n"
    "<p>On the command line: <code>moonpost deliveries</code>, "
    "<code>show</code>, <code>replay</code>, <code>tail</code>, "
    "<code>scripts</code>, <code>pause</code>, <code>resume</code>, "
    "<code>discard</code>.</p>\n";

/* ---- answers ----------------------------------------------------------------
 */

void
console_reply_err(struct httpd_request *req, const struct err *err)
{
	switch (err->code) {
	case ERR_INVALID:
	case ERR_TOO_LARGE:
		httpd_reply_error(req, 400, "bad_request", err->msg);
		break;
	case ERR_NOT_FOUND:
		httpd_reply_error(req, 404, "not_found", err->msg);
		break;
	case ERR_UNAVAILABLE:
	case ERR_TIMEOUT:
		httpd_reply_error(req, 503, "unavailable", err->msg);
		break;
	case ERR_NONE:
	case ERR_UNAUTH:
	case ERR_RESOLVE:
	case ERR_CONNECT:
	case ERR_TLS:
	case ERR_BLOCKED:
	case ERR_INTERNAL:
	default:
		httpd_reply_error(req, 500, "internal", err->msg);
		break;
	}
}

void
console_reply_json(
    struct console *console, struct httpd_request *req, struct str json)
{
	static const struct httpd_header headers[] = {
	    {"Content-Type", "application/json"},
	    {"Cache-Control", "no-store"},
	    {"X-Content-Type-Options", "nosniff"},
	};
	const struct console_options *o = &console->options;
	struct buf text = BUF_INIT;

	redact_json(json, o->redact, o->cookie, &text);
	httpd_reply(req, 200, headers, NELEMS(headers),
	    (struct str){text.data, text.len});
	buf_free(&text);
}

void
console_put_event(struct console *console, const char *name, struct str json)
{
	const struct console_options *o = &console->options;
	struct buf text = BUF_INIT;

	redact_json(json, o->redact, o->cookie, &text);
	events_put(console->events, name, (struct str){text.data, text.len});
	buf_free(&text);
}

const struct jval *
console_read_body(
    struct httpd_request *req, const char *const *names, struct jdoc *doc)
{
	struct str body = httpd_body(req);
	const struct jval *root, *e;
	struct err err = ERR_INIT;
	const char *meant;
	size_t i, k, n;
	char *name;

	if (body.len == 0)
		body = STR("{}");
	if (jdoc_parse(doc, body.data, body.len, NULL, &err) == -1) {
		httpd_reply_error(req, 400, "invalid_json", err.msg);
		return NULL;
	}
	root = jdoc_root(doc);
	if (jval_kind(root) != JDOC_OBJECT) {
		httpd_reply_error(
		    req, 400, "bad_request", "the body must be an object");
		return NULL;
	}
	for (n = 0; names[n] != NULL; n++)
		continue;
	for (e = root + 1, i = 0; i < root->len; i++, e = jval_next(e + 1)) {
		for (k = 0; k < n; k++) {
			if (str_eq(jval_str(e), str_of(names[k])))
				break;
		}
		if (k < n)
			continue;
		name = mem_strndup(jval_str(e).data, jval_str(e).len);
		meant = str_closest(name, names, n);
		(void)err_set(&err, ERR_INVALID,
		    "the body has an unknown member '%.40s'%s%s%s", name,
		    meant == NULL ? "" : "; did you mean '",
		    meant == NULL ? "" : meant, meant == NULL ? "" : "'?");
		free(name);
		httpd_reply_error(req, 400, "bad_request", err.msg);
		return NULL;
	}
	return root;
}

int
console_body_text(
    const struct jval *body, const char *name, char **ret_text, struct err *err)
{
	const struct jval *v = jdoc_gets(body, name);
	struct str s;

	if (v == NULL || jval_kind(v) == JDOC_NULL)
		return 0;
	s = jval_str(v);
	if (jval_kind(v) != JDOC_STRING || s.len == 0 ||
	    memchr(s.data, '\0', s.len) != NULL)
		return err_set(err, ERR_INVALID, "%s must be text", name);
	free(*ret_text);
	*ret_text = mem_strndup(s.data, s.len);
	return 0;
}

int
console_submit(
    struct console *console, struct httpd_request *req, struct store_op *op)
{
	struct err err = ERR_INIT;

	op->reply_to = loop_mailbox(console->options.loop);
	if (store_submit(console->options.store, op, &err) == 0)
		return 0;
	console_reply_err(req, &err);
	return -1;
}

/* ---- the door ---------------------------------------------------------------
 */

/* "/?token=...": leave a cookie, and take the token out of the address. */
static int
log_in(struct console *console, struct httpd_request *req)
{
	struct str query = httpd_query(req);
	struct httpd_header headers[] = {
	    {"Location", "/"},
	    {"Set-Cookie", access_cookie(console->access)},
	    {"Cache-Control", "no-store"},
	    {"Referrer-Policy", "no-referrer"},
	};
	struct buf name = BUF_INIT, value = BUF_INIT;
	int good = 0;

	while (!good && form_next(&query, &name, &value) == 1)
		good = strcmp(buf_text(&name), "token") == 0 &&
		       access_is_token(console->access,
			   (struct str){buf_text(&value), value.len});
	if (value.data != NULL)
		explicit_bzero(value.data, value.cap);
	buf_free(&name);
	buf_free(&value);
	if (good)
		httpd_reply(
		    req, 303, headers, NELEMS(headers), (struct str){"", 0});
	return good;
}

/* Refuse whoever has no business here.  Returns 0 if the request was answered.
 */
static int
let_in(struct console *console, struct httpd_request *req)
{
	static const struct httpd_header headers[] = {
	    {"Content-Type", "application/json"},
	    {"WWW-Authenticate", "Bearer realm=\"moonpost\""},
	    {"Cache-Control", "no-store"},
	};
	const char *host = httpd_header(req, "Host");

	if (!access_host_is_ours(console->access, host)) {
		httpd_reply_error(req, 403, "wrong_host",
		    "the console is not known by that name: use the address "
		    "that it listens on");
		return 0;
	}
	if (!access_origin_is_ours(httpd_header(req, "Origin"), host)) {
		httpd_reply_error(req, 403, "wrong_origin",
		    "pages from elsewhere cannot use the console");
		return 0;
	}
	if (httpd_method(req) == HTTPD_GET &&
	    str_eq(httpd_path(req), STR("/")) && log_in(console, req))
		return 0;
	if (!access_is_allowed(console->access,
		httpd_header(req, "Authorization"),
		httpd_header(req, "Cookie"))) {
		httpd_reply(req, 401, headers, NELEMS(headers),
		    STR("{\"error\":\"unauthorized\",\"message\":\"show the "
			"token that is in the data folder as console-token: "
			"Authorization: Bearer TOKEN, or open /?token=TOKEN in "
			"a browser\"}"));
		return 0;
	}
	return 1;
}

/* What changes something is JSON: no form of another site can send that. */
static int
is_json(struct httpd_request *req)
{
	const char *type = httpd_header(req, "Content-Type");
	size_t len;

	if (type == NULL)
		return 0;
	len = strcspn(type, "; \t");
	return str_eq_nocase((struct str){type, len}, STR("application/json"));
}

/* ---- routes -----------------------------------------------------------------
 */

enum place {
	PLACE_NONE,
	PLACE_PAGE,
	PLACE_HEALTHZ,
	PLACE_METRICS,
	PLACE_DELIVERIES,
	PLACE_DELIVERY,
	PLACE_DELIVERY_REPLAY,
	PLACE_REPLAY,
	PLACE_SCRIPTS,
	PLACE_SCRIPT_PAUSE,
	PLACE_SCRIPT_RESUME,
	PLACE_SCRIPT_DISCARD,
	PLACE_RELOAD,
	PLACE_EVENTS,
};

/* A '*' stands for a part of the path. */
static const struct {
	const char *path;
	enum place place;
	enum httpd_method method;
} places[] = {
    {"/", PLACE_PAGE, HTTPD_GET},
    {"/healthz", PLACE_HEALTHZ, HTTPD_GET},
    {"/metrics", PLACE_METRICS, HTTPD_GET},
    {"/api/deliveries", PLACE_DELIVERIES, HTTPD_GET},
    {"/api/deliveries/*", PLACE_DELIVERY, HTTPD_GET},
    {"/api/deliveries/*/replay", PLACE_DELIVERY_REPLAY, HTTPD_POST},
    {"/api/replay", PLACE_REPLAY, HTTPD_POST},
    {"/api/scripts", PLACE_SCRIPTS, HTTPD_GET},
    {"/api/scripts/*/pause", PLACE_SCRIPT_PAUSE, HTTPD_POST},
    {"/api/scripts/*/resume", PLACE_SCRIPT_RESUME, HTTPD_POST},
    {"/api/scripts/*/discard", PLACE_SCRIPT_DISCARD, HTTPD_POST},
    {"/api/reload", PLACE_RELOAD, HTTPD_POST},
    {"/api/events", PLACE_EVENTS, HTTPD_GET},
};

static int
path_matches(const char *pattern, struct str path, struct str *ret_part)
{
	size_t before = strcspn(pattern, "*"), after;

	if (pattern[before] == '\0')
		return str_eq(path, str_of(pattern));
	after = strlen(pattern) - before - 1;
	if (path.len <= before + after ||
	    memcmp(path.data, pattern, before) != 0 ||
	    memcmp(path.data + path.len - after, pattern + before + 1, after) !=
		0)
		return 0;
	*ret_part = (struct str){path.data + before, path.len - before - after};
	return memchr(ret_part->data, '/', ret_part->len) == NULL;
}

static enum place
find_place(struct str path, struct str *ret_part, enum httpd_method *ret_method)
{
	size_t i;

	for (i = 0; i < NELEMS(places); i++) {
		if (path_matches(places[i].path, path, ret_part)) {
			*ret_method = places[i].method;
			return places[i].place;
		}
	}
	return PLACE_NONE;
}

/* For requests that the gate refuses by itself. */
static int
route_cb(enum httpd_method method, struct str path, const char **ret_allow,
    void *cookie)
{
	enum httpd_method wanted = HTTPD_GET;
	struct str part;

	(void)cookie;
	if (find_place(path, &part, &wanted) == PLACE_NONE)
		return 404;
	if (method == wanted)
		return 0;
	*ret_allow = wanted == HTTPD_GET ? "GET" : "POST";
	return 405;
}

static void
show_page(struct httpd_request *req)
{
	static const struct httpd_header headers[] = {
	    {"Content-Type", "text/html; charset=utf-8"},
	    {"Cache-Control", "no-store"},
	    {"Content-Security-Policy",
		"default-src 'none'; frame-ancestors 'none'"},
	    {"X-Content-Type-Options", "nosniff"},
	    {"Referrer-Policy", "no-referrer"},
	};

	httpd_reply(req, 200, headers, NELEMS(headers), STR(page));
}

/* A number of a delivery; everything else is the number of none. */
static void
with_id(struct console *console, struct httpd_request *req, struct str part,
    void (*go)(struct console *, struct httpd_request *, uint64_t))
{
	uint64_t id;

	if (str_parse_u64(part, (uint64_t)INT64_MAX >> 10, &id) == -1 ||
	    id == 0)
		httpd_reply_error(
		    req, 404, "not_found", "there is no such delivery");
	else
		go(console, req, id);
}

static void
go(struct console *console, struct httpd_request *req, enum place place,
    struct str part)
{
	switch (place) {
	case PLACE_PAGE:
		show_page(req);
		break;
	case PLACE_METRICS:
		metrics_get(console, req);
		break;
	case PLACE_DELIVERIES:
		deliveries_list(console, req);
		break;
	case PLACE_DELIVERY:
		with_id(console, req, part, deliveries_get);
		break;
	case PLACE_DELIVERY_REPLAY:
		with_id(console, req, part, replay_post);
		break;
	case PLACE_REPLAY:
		replay_post(console, req, 0);
		break;
	case PLACE_SCRIPTS:
		scripts_list(console, req);
		break;
	case PLACE_SCRIPT_PAUSE:
		scripts_post(console, req, part, SCRIPTS_PAUSE);
		break;
	case PLACE_SCRIPT_RESUME:
		scripts_post(console, req, part, SCRIPTS_RESUME);
		break;
	case PLACE_SCRIPT_DISCARD:
		scripts_post(console, req, part, SCRIPTS_DISCARD);
		break;
	case PLACE_RELOAD:
		scripts_reload(console, req);
		break;
	case PLACE_EVENTS:
		events_follow(console->events, req);
		break;
	case PLACE_HEALTHZ:
	case PLACE_NONE:
	default:
		httpd_reply_error(
		    req, 404, "not_found", "there is nothing at this path");
		break;
	}
}

static void
handle_cb(struct httpd_request *req, void *cookie)
{
	struct console *console = cookie;
	enum httpd_method wanted = HTTPD_GET;
	struct str part = {"", 0};
	enum place place = find_place(httpd_path(req), &part, &wanted);

	/* Who asks whether we live needs no name for us. */
	if (place == PLACE_HEALTHZ && httpd_method(req) == HTTPD_GET) {
		httpd_reply_json(req, 200, STR("{\"status\":\"ok\"}"));
		return;
	}
	if (!let_in(console, req))
		return;
	if (place != PLACE_NONE && httpd_method(req) != wanted) {
		httpd_reply_not_allowed(
		    req, wanted == HTTPD_GET ? "GET" : "POST");
		return;
	}
	if (wanted == HTTPD_POST && !is_json(req)) {
		httpd_reply_error(req, 415, "unsupported_media_type",
		    "the Content-Type must be application/json");
		return;
	}
	go(console, req, place, part);
}

/* ---- the whole --------------------------------------------------------------
 */

int
console_start(const struct console_options *options,
    struct console **ret_console, struct err *err)
{
	struct console *console = mem_zalloc(sizeof(*console));
	struct httpd_options http = {.max_connections = MAX_CONNECTIONS,
	    .handle = handle_cb,
	    .route = route_cb,
	    .cookie = console};
	int fd;

	console->options = *options;
	if (listen_open(options->address, 1, &fd, console->address, err) ==
		-1 ||
	    httpd_create(options->loop, fd, &http, &console->httpd, err) ==
		-1) {
		console_free(console);
		return -1;
	}
	console->access = access_create(options->token, console->address);
	console->options.address = NULL;
	console->options.token = NULL;
	console->events = events_create(options->loop);
	*ret_console = console;
	return 0;
}

void
console_free(struct console *console)
{
	struct err why = ERR_INIT;

	if (console == NULL)
		return;
	(void)err_set(&why, ERR_UNAVAILABLE, "the host is stopping");
	scripts_answer_reloads(console, &why);
	events_free(console->events);
	httpd_free(console->httpd);
	access_free(console->access);
	free(console);
}

const char *
console_address(const struct console *console)
{
	return console->address;
}

/* ---- what is told -----------------------------------------------------------
 */

int
console_is_followed(const struct console *console)
{
	return events_are_wanted(console->events);
}

void
console_delivery_json(const struct store_append *a, struct buf *out)
{
	struct jwrite w = jwrite_begin(out, 0);
	char id[24];
	size_t i;

	jwrite_object(&w);
	(void)snprintf(id, sizeof(id), "%llu", (unsigned long long)a->ret_id);
	jwrite_member_text(&w, "id", id);
	jwrite_member_text(&w, "integration", a->integration);
	jwrite_member_text(&w, "channel", a->channel);
	jwrite_member_text(&w, "resource", a->resource);
	jwrite_member_text(&w, "action", a->action);
	jwrite_member_text(&w, "request_id", a->request_id);
	jwrite_member_text(&w, "idempotency_key", a->idempotency_key);
	(void)snprintf(
	    id, sizeof(id), "%llu", (unsigned long long)a->ret_repeats);
	jwrite_member_text(
	    &w, "possible_duplicate_of", a->ret_repeats == 0 ? NULL : id);
	jwrite_key(&w, "received_at");
	jwrite_time(&w, a->received_unix_ms);
	jwrite_member_int(&w, "size", (int64_t)a->body.len);
	jwrite_key(&w, "jobs");
	jwrite_array(&w);
	for (i = 0; i < a->njobs; i++) {
		jwrite_object(&w);
		jwrite_member_text(&w, "script", a->jobs[i].script);
		jwrite_member_text(&w, "handler", a->jobs[i].handler);
		jwrite_member_text(&w, "state", "pending");
		jwrite_member_int(&w, "attempts", 0);
		jwrite_member_text(&w, "next_at", NULL);
		jwrite_member_text(&w, "error", NULL);
		jwrite_object_end(&w);
	}
	jwrite_array_end(&w);
	jwrite_member_text(&w, "state", store_state_name(a->state));
	jwrite_object_end(&w);
}

void
console_tell_delivery(struct console *console, struct str json)
{
	events_put(console->events, "delivery", json);
}

void
console_tell_gap(struct console *console)
{
	events_put(console->events, "reset", STR("{}"));
}

void
console_tell_job(struct console *console, const struct store_job *job,
    enum store_state state, uint64_t next_unix_ms, const char *error)
{
	struct buf text = BUF_INIT;
	struct jwrite w = jwrite_begin(&text, 0);
	int ended = state != STORE_RUNNING && state != STORE_PENDING;
	char id[24];

	if (!events_are_wanted(console->events))
		return;
	(void)snprintf(
	    id, sizeof(id), "%llu", (unsigned long long)job->delivery_id);
	jwrite_object(&w);
	jwrite_member_text(&w, "delivery", id);
	jwrite_member_text(&w, "integration", job->integration);
	jwrite_member_text(&w, "resource", job->resource);
	jwrite_member_text(&w, "action", job->action);
	jwrite_member_text(&w, "script", job->script);
	jwrite_member_text(&w, "handler", job->handler);
	jwrite_member_text(&w, "state", store_state_name(state));

	/* An attempt counts when it is over. */
	jwrite_member_int(
	    &w, "attempts", (int64_t)job->attempt - (ended ? 0 : 1));
	jwrite_key(&w, "next_at");
	jwrite_time(&w, state == STORE_RETRYING ? next_unix_ms : 0);
	jwrite_member_text(&w, "error", error);
	jwrite_object_end(&w);

	/* Only what a script has said may hold a secret. */
	if (error != NULL)
		console_put_event(
		    console, "job", (struct str){text.data, text.len});
	else
		events_put(
		    console->events, "job", (struct str){text.data, text.len});
	buf_free(&text);
}
