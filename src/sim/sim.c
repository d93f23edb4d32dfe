#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/form.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include "crypto/signature.h"
#include "net/fetch.h"
#include "net/guard.h"
#include "net/loop.h"
#include "json/jwrite.h"

#include "sim/calls.h"
#include "sim/installs.h"
#include "sim/issues.h"
#include "sim/mask.h"
#include "sim/sender.h"
#include "sim/sim_internal.h"
#include "sim/users.h"

/* What Sentry's headers said where somebody wrote them down. */
#define LIMIT_REQUESTS 320
#define LIMIT_CONCURRENT 300
#define LIMIT_WINDOW_S 1

#define IDLE_CONNECTIONS 16

static const struct sim_route *const tables[] = {
    sim_api_routes,
    sim_rest_routes,
    sim_oauth_routes,
    sim_control_routes,
};

static const char *const method_names[] = {
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "?"};

/* ---- what is remembered and told of a call --------------------------------
 */

static const char *
grant_of(struct buf *scratch, const struct sim_call *call)
{
	struct str body = httpd_body(call->req), grant;
	struct jdoc doc = {0};
	char *form;

	if (sim_has_type(call, "application/x-www-form-urlencoded")) {
		form = form_get(body, "grant_type");
		if (form != NULL)
			buf_puts(scratch, form);
		free(form);
	} else if (jdoc_parse(&doc, body.data, body.len, NULL, NULL) == 0) {
		grant = jdoc_get_str(jdoc_root(&doc), "grant_type");
		buf_put(scratch, grant.data, grant.len);
	}
	jdoc_free(&doc);
	return scratch->len == 0 ? NULL : scratch->data;
}

static void
record(struct sim_call *call, int status, struct str answer)
{
	struct buf out = BUF_INIT, json = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 0);
	struct str body = httpd_body(call->req), path = httpd_path(call->req);
	struct httpd_header header;
	const void *at = NULL;

	jwrite_object(&w);
	jwrite_member_text(&w, "direction", "in");
	jwrite_key(&w, "at");
	jwrite_time(&w, call->now_unix_ms);
	jwrite_member_text(&w, "method", method_names[httpd_method(call->req)]);
	jwrite_key(&w, "path");
	jwrite_str(&w, path);
	jwrite_key(&w, "query");
	mask_form(&w, httpd_query(call->req));
	jwrite_key(&w, "headers");
	jwrite_object(&w);
	while ((at = httpd_next_header(call->req, at, &header)) != NULL)
		mask_header(&w, str_of(header.name), str_of(header.value));
	jwrite_object_end(&w);
	jwrite_key(&w, "body");
	if (sim_has_type(call, "application/x-www-form-urlencoded"))
		mask_form(&w, body);
	else
		mask_json(&w, body);
	jwrite_member_int(&w, "status", status);
	jwrite_key(&w, "answer");
	mask_json(&w, answer);
	jwrite_key(&w, "lost");
	jwrite_bool(&w, call->drop);
	jwrite_object_end(&w);
	/* Its number comes first. */
	buf_put(&json, out.data + 1, out.len - 2);
	(void)calls_add(call->sim->calls, &json);
	buf_free(&out);
}

static void
tell(const struct sim_call *call, int status, struct str answer)
{
	struct buf path = BUF_INIT, grant = BUF_INIT;
	struct str p = httpd_path(call->req), detail, error;
	const char *kind = grant_of(&grant, call);
	struct jdoc doc = {0};
	int bad = status >= 400;

	buf_put(&path, p.data, p.len);
	detail = error = (struct str){NULL, 0};
	if (bad && jdoc_parse(&doc, answer.data, answer.len, NULL, NULL) == 0) {
		detail = jdoc_get_str(jdoc_root(&doc), "detail");
		error = jdoc_get_str(jdoc_root(&doc), "error");
		if (detail.data == NULL)
			detail = jdoc_get_str(jdoc_root(&doc), "message");
	}
	{
		const struct log_field fields[] = {
		    LOG_STR("method", method_names[httpd_method(call->req)]),
		    LOG_STR("path", buf_text(&path)),
		    LOG_OPT("grant", kind),
		    LOG_INT("status", status),
		    LOG_OPT("lost", call->drop ? "answer" : NULL),
		    {error.data == NULL ? NULL : "error", LOG_KIND_STR, error,
			0},
		    {detail.data == NULL ? NULL : "detail", LOG_KIND_STR,
			detail, 0},
		};

		log_write(bad ? LOG_WARN : LOG_INFO, "request", fields,
		    NELEMS(fields));
	}
	buf_free(&path);
	buf_free(&grant);
	jdoc_free(&doc);
}

/* ---- answers --------------------------------------------------------------
 */

void
sim_header(struct sim_call *call, const char *name, const char *fmt, ...)
{
	va_list ap;
	size_t i = call->nheaders, size;
	int len;

	if (i == SIM_HEADERS)
		return;
	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	size = len < 0 ? 1 : (size_t)len + 1;
	call->header_text[i] = mem_zalloc(size);
	va_start(ap, fmt);
	(void)vsnprintf(call->header_text[i], size, fmt, ap);
	va_end(ap);
	call->headers[i].name = name;
	call->headers[i].value = call->header_text[i];
	call->nheaders++;
}

static void
put_limit(struct sim_call *call)
{
	const struct sim_window *window = call->window;
	uint64_t left = window->used >= LIMIT_REQUESTS
			    ? 0
			    : LIMIT_REQUESTS - window->used,
		 reset_s = window->begin_unix_s + LIMIT_WINDOW_S;

	if (call->limited_s > 0) {
		left = 0;
		reset_s = (call->now_unix_ms + 999) / 1000 + call->limited_s;
	}
	sim_header(call, "X-Sentry-Rate-Limit-Limit", "%d", LIMIT_REQUESTS);
	sim_header(call, "X-Sentry-Rate-Limit-Remaining", "%llu",
	    (unsigned long long)left);
	sim_header(call, "X-Sentry-Rate-Limit-Reset", "%llu",
	    (unsigned long long)reset_s);
	sim_header(call, "X-Sentry-Rate-Limit-ConcurrentLimit", "%d",
	    LIMIT_CONCURRENT);
	sim_header(call, "X-Sentry-Rate-Limit-ConcurrentRemaining", "%d",
	    LIMIT_CONCURRENT - 1);
}

static void
call_free(struct sim_call *call)
{
	size_t i;

	TAILQ_REMOVE(&call->sim->open, call, entry);
	for (i = 0; i < call->nheaders; i++)
		free(call->header_text[i]);
	jdoc_free(&call->doc);
	sim_ui_free(call->ui);
	free(call);
}

void
sim_reply(struct sim_call *call, int status, struct buf *json)
{
	struct str answer = {buf_text(json), json->len};

	if (json->len > 0 &&
	    (call->nheaders == 0 ||
		strcmp(call->headers[0].name, "Content-Type") != 0))
		sim_header(call, "Content-Type", "application/json");
	if (call->is_api)
		put_limit(call);
	if (!call->is_control)
		record(call, status, answer);
	tell(call, status, answer);
	if (call->drop)
		httpd_hang_up(call->req);
	else
		httpd_reply(
		    call->req, status, call->headers, call->nheaders, answer);
	buf_free(json);
	call_free(call);
}

static void
reply_member(
    struct sim_call *call, int status, const char *name, const char *text)
{
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);

	jwrite_object(&w);
	jwrite_member_text(&w, name, text);
	jwrite_object_end(&w);
	sim_reply(call, status, &json);
}

void
sim_reply_detail(struct sim_call *call, int status, const char *detail)
{
	reply_member(call, status, "detail", detail);
}

void
sim_reply_oauth_error(struct sim_call *call, int status, const char *error)
{
	reply_member(call, status, "error", error);
}

void
sim_reply_misuse(struct sim_call *call, const char *fmt, ...)
{
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	jwrite_object(&w);
	jwrite_member_text(&w, "error", "bad_request");
	jwrite_member_text(&w, "message", text);
	jwrite_object_end(&w);
	sim_reply(call, 400, &json);
}

/* ---- reading --------------------------------------------------------------
 */

int
sim_has_type(const struct sim_call *call, const char *type)
{
	const char *given = httpd_header(call->req, "Content-Type");

	if (given == NULL)
		return 0;
	return str_eq_nocase(
	    (struct str){given, strcspn(given, "; \t")}, str_of(type));
}

struct str
sim_bearer(const struct sim_call *call)
{
	const char *text = httpd_header(call->req, "Authorization");

	if (text == NULL || strncasecmp(text, "Bearer ", 7) != 0)
		return (struct str){NULL, 0};
	return str_of(text + 7);
}

const struct jval *
sim_read_control(struct sim_call *call, const char *const *names)
{
	struct str body = httpd_body(call->req);
	const struct jval *root, *e;
	struct err err = ERR_INIT;
	const char *meant;
	size_t i, k, n, offset = 0;
	char *name;

	if (body.len == 0)
		body = STR("{}");
	if (jdoc_parse(&call->doc, body.data, body.len, &offset, &err) == -1) {
		sim_reply_misuse(
		    call, "not JSON: %.200s at byte %zu", err.msg, offset);
		return NULL;
	}
	root = jdoc_root(&call->doc);
	if (jval_kind(root) != JDOC_OBJECT) {
		sim_reply_misuse(call, "the body must be a JSON object");
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
		sim_reply_misuse(call, "unknown member '%.40s'%s%s%s", name,
		    meant == NULL ? "" : "; did you mean '",
		    meant == NULL ? "" : meant, meant == NULL ? "" : "'?");
		free(name);
		return NULL;
	}
	return root;
}

int
sim_get_text(struct sim_call *call, const struct jval *body, const char *name,
    char **ret)
{
	const struct jval *v = jdoc_gets(body, name);
	struct str s;

	if (v == NULL || jval_kind(v) == JDOC_NULL)
		return 0;
	s = jval_str(v);
	if (jval_kind(v) != JDOC_STRING || s.len == 0 ||
	    memchr(s.data, '\0', s.len) != NULL) {
		sim_reply_misuse(call, "%s must be text", name);
		return -1;
	}
	free(*ret);
	*ret = mem_strndup(s.data, s.len);
	return 0;
}

int
sim_get_count(struct sim_call *call, const struct jval *body, const char *name,
    uint64_t max, uint64_t *ret)
{
	const struct jval *v = jdoc_gets(body, name);

	if (v == NULL || jval_kind(v) == JDOC_NULL)
		return 0;
	if (jval_kind(v) != JDOC_INT || v->v.i < 0 || (uint64_t)v->v.i > max) {
		sim_reply_misuse(call, "%s must be a whole number up to %llu",
		    name, (unsigned long long)max);
		return -1;
	}
	*ret = (uint64_t)v->v.i;
	return 0;
}

int
sim_get_bool(
    struct sim_call *call, const struct jval *body, const char *name, int *ret)
{
	const struct jval *v = jdoc_gets(body, name);

	if (v == NULL || jval_kind(v) == JDOC_NULL)
		return 0;
	if (jval_kind(v) != JDOC_TRUE && jval_kind(v) != JDOC_FALSE) {
		sim_reply_misuse(call, "%s must be true or false", name);
		return -1;
	}
	*ret = jval_kind(v) == JDOC_TRUE;
	return 0;
}

/* ---- the door -------------------------------------------------------------
 */

static int
path_fits(const char *pattern, struct str path, struct str part[SIM_PARTS])
{
	size_t n = 0, len;

	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '*') {
			if (path.len == 0 || path.data[0] != *pattern)
				return 0;
			path.data++;
			path.len--;
			continue;
		}
		for (len = 0; len < path.len && path.data[len] != '/'; len++)
			continue;
		if (len == 0 || n == SIM_PARTS)
			return 0;
		part[n++] = (struct str){path.data, len};
		path.data += len;
		path.len -= len;
	}
	return path.len == 0;
}

static const struct sim_route *
find_route(enum httpd_method method, struct str path,
    struct str part[SIM_PARTS], struct buf *allow)
{
	const struct sim_route *route;
	size_t i;

	for (i = 0; i < NELEMS(tables); i++) {
		for (route = tables[i]; route->path != NULL; route++) {
			if (!path_fits(route->path, path, part))
				continue;
			if (route->method == method)
				return route;
			if (allow->len > 0)
				buf_puts(allow, ", ");
			buf_puts(allow, method_names[route->method]);
		}
	}
	return NULL;
}

/* Whether the next call with that path is one of the plan's. */
static int
take_planned(struct sim_plan *plan, struct str path)
{
	if (plan->count == 0 ||
	    (plan->path != NULL && memmem(path.data, path.len, plan->path,
				       strlen(plan->path)) == NULL))
		return 0;
	plan->count--;
	return 1;
}

/* The window of an address, the one that it is now. */
static struct sim_window *
find_window(struct sim *sim, struct str path, uint64_t now_unix_ms)
{
	uint64_t address = str_hash(path), now_s = now_unix_ms / 1000;
	struct sim_window *window = &sim->windows[address % SIM_WINDOWS];

	if (window->address != address ||
	    now_s >= window->begin_unix_s + LIMIT_WINDOW_S)
		*window = (struct sim_window){address, now_s, 0};
	return window;
}

static void
reply_limited(struct sim_call *call)
{
	char text[160];

	(void)snprintf(text, sizeof(text),
	    "You are attempting to use this endpoint too frequently. Limit is "
	    "%d requests in %d seconds",
	    LIMIT_REQUESTS, LIMIT_WINDOW_S);
	sim_reply_detail(call, 429, text);
}

static void
reply_planned(struct sim_call *call)
{
	struct sim *sim = call->sim;
	struct buf json = BUF_INIT;

	if (sim->fail.body != NULL) {
		buf_puts(&json, sim->fail.body);
		sim_reply(call, sim->fail.status, &json);
	} else if (sim->fail.status == 429) {
		call->limited_s = sim->fail.after_s;
		reply_limited(call);
	} else if (call->is_api) {
		sim_reply_detail(call, sim->fail.status, "Internal Error");
	} else {
		sim_reply_oauth_error(call, sim->fail.status, "server_error");
	}
}

/* Whether a request for /sim/ is from a person or a program, not from a page
 * of the web that has found the port. */
static int
is_trusted(const struct httpd_request *req)
{
	const char *host = httpd_header(req, "Host");
	size_t len;

	if (host == NULL || httpd_header(req, "Origin") != NULL)
		return 0;
	if (host[0] == '[')
		return 1;
	len = strcspn(host, ":");
	return strspn(host, "0123456789.") == len ||
	       str_eq_nocase((struct str){host, len}, STR("localhost"));
}

static int
begins_with(struct str s, const char *prefix)
{
	size_t len = strlen(prefix);

	return s.len >= len && memcmp(s.data, prefix, len) == 0;
}

static void
handle(struct httpd_request *req, void *cookie)
{
	struct sim *sim = cookie;
	struct sim_call *call = mem_zalloc(sizeof(*call));
	struct str path = httpd_path(req);
	const struct sim_route *route;
	struct buf allow = BUF_INIT;

	call->sim = sim;
	call->req = req;
	TAILQ_INSERT_TAIL(&sim->open, call, entry);
	call->now_unix_ms = clock_unix_ms();
	call->is_control = begins_with(path, "/sim/") || str_eq(path, STR("/"));
	call->is_api = begins_with(path, "/api/");
	if (call->is_api) {
		call->window = find_window(sim, path, call->now_unix_ms);
		call->window->used++;
	}
	route = find_route(httpd_method(req), path, call->part, &allow);
	if (call->is_control && !is_trusted(req)) {
		sim_reply_misuse(call,
		    "/sim/ is for programs, and by its address: no page of the "
		    "web, no other host name");
	} else if (!call->is_control && take_planned(&sim->fail, path)) {
		reply_planned(call);
	} else if (call->is_api && call->window->used > LIMIT_REQUESTS) {
		reply_limited(call);
	} else if (route != NULL) {
		call->drop =
		    !call->is_control && take_planned(&sim->drop, path);
		route->handle(call);
	} else if (allow.len > 0) {
		sim_header(call, "Allow", "%s", allow.data);
		sim_reply_detail(call, 405, "Method not allowed.");
	} else if (call->is_control) {
		sim_reply_misuse(call,
		    "no such thing to ask for; GET / lists what there is");
	} else {
		sim_reply_detail(
		    call, 404, "The requested resource does not exist");
	}
	buf_free(&allow);
}

int
sim_create(const struct sim_options *options, int fd, struct sim **ret_sim,
    struct err *err)
{
	struct httpd_options httpd = {.handle = handle};
	struct fetch_options fetch = {.max_idle_connections = IDLE_CONNECTIONS};
	struct sim *sim = mem_zalloc(sizeof(*sim));

	TAILQ_INIT(&sim->open);
	sim->options = *options;
	sim->key = signature_key_create(
	    options->secrets[0], strlen(options->secrets[0]));
	sim->installs = installs_create(options->client_id, options->secrets,
	    options->nsecrets, options->scale);
	sim->users = users_create(options->scale);
	sim->issues = issues_create(options->catalog, options->url);
	sim->calls = calls_create();
	httpd.cookie = sim;
	if (httpd_create(options->loop, fd, &httpd, &sim->httpd, err) == -1)
		goto fail;
	/* Whoever asks says where to; that is the point. */
	sim->guard = guard_create();
	guard_allow_private(sim->guard);
	fetch.base = loop_base(options->loop);
	fetch.guard = sim->guard;
	sim->fetch = fetch_create(&fetch, err);
	if (sim->fetch == NULL)
		goto fail;
	sim->sender = sender_create(sim);
	*ret_sim = sim;
	return 0;

fail:
	sim_free(sim);
	return -1;
}

static void
plan_clear(struct sim_plan *plan)
{
	free(plan->path);
	free(plan->body);
	*plan = (struct sim_plan){0};
}

void
sim_free(struct sim *sim)
{
	struct sim_call *call;

	if (sim == NULL)
		return;
	sender_free(sim->sender);
	fetch_free(sim->fetch);
	while ((call = TAILQ_FIRST(&sim->open)) != NULL) {
		httpd_hang_up(call->req);
		call_free(call);
	}
	httpd_free(sim->httpd);
	guard_free(sim->guard);
	signature_key_free(sim->key);
	installs_free(sim->installs);
	users_free(sim->users);
	issues_free(sim->issues);
	calls_free(sim->calls);
	plan_clear(&sim->fail);
	plan_clear(&sim->drop);
	free(sim);
}
