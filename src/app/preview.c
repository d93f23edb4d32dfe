#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/form.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "catalog/routes.h"
#include "config/config.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/secrets.h"
#include "crypto/signature.h"
#include "dispatch/dispatch.h"
#include "net/httpd.h"
#include "net/listen.h"
#include "net/loop.h"
#include "net/proxy.h"
#include "store/store.h"
#include "wire/watch.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "app/app.h"
#include "app/preview.h"
#include "app/preview_fire.h"
#include "app/unsafe.h"

extern const unsigned char embed_src_app_preview_html[];
extern const size_t embed_src_app_preview_html_len;

#define TOKEN_BYTES 16
#define MAILBOX 1024

/* Nobody keeps anything in there. */
#define STORE_BYTES (64U << 20)

/* Nothing of it comes from elsewhere, and nobody puts it into a frame. */
#define PAGE_POLICY                                                            \
	"default-src 'none'; script-src 'unsafe-inline'; style-src "           \
	"'unsafe-inline'; connect-src 'self'; form-action 'none'; base-uri "   \
	"'none'; frame-ancestors 'none'"

struct preview {
	const struct preview_options *options;
	struct catalog *catalog;
	struct secrets *secrets;
	struct store *store;
	struct loop *loop;
	struct dispatch *dispatch;
	struct watch *watch;
	struct httpd *httpd;
	struct signature_key *key;
	struct preview_fires *fires;
	struct buf guard;
	struct proxy *proxy; /* NULL: none. */
	struct event *signals[2];
	char dir[64]; /* "" while there is none. */
	char token[2 * TOKEN_BYTES + 1];
	char address[LISTEN_ADDRESS_SIZE];
	uint64_t version; /* Goes up whenever a script has another state. */
};

/* A request of the page's that a script answers. */
struct asked {
	struct preview *preview;
	struct httpd_request *req;
	char *route;
	char *method;
	char *target; /* With its query. */
	struct buf body;
	char signature[SIGNATURE_HEX + 1];
};

/* ---- what the dispatcher asks ---------------------------------------------
 */

static int
give_secret(void *cookie, const char *integration, const char *name,
    struct buf *ret_value, struct err *err)
{
	struct preview *p = cookie;
	struct secret *secret;

	if (secrets_get(p->secrets, integration, name, &secret, err) == -1)
		return -1;
	buf_put(ret_value, secret->data, secret->len);
	secret_free(secret);
	return 0;
}

static void
redact(void *cookie, struct buf *text)
{
	struct preview *p = cookie;

	secrets_redact(p->secrets, text);
}

static void
take_routes(void *cookie, struct routes *routes)
{
	(void)cookie;
	routes_unref(routes);
}

static void
script_changed(void *cookie, const char *integration, const char *name)
{
	struct preview *p = cookie;

	(void)integration;
	(void)name;
	p->version++;
}

static void
job_changed(void *cookie, const struct store_job *job, enum store_state state,
    uint64_t next_unix_ms, const char *error)
{
	struct preview *p = cookie;

	(void)next_unix_ms;
	(void)error;
	preview_fire_job(p->fires, job, state);
}

static void
folder_changed(void *cookie, struct source *source)
{
	struct preview *p = cookie;

	dispatch_update(p->dispatch, p->options->integration, source);
}

/* ---- answers ---------------------------------------------------------------
 */

static void
reply_page(struct httpd_request *req)
{
	const struct httpd_header headers[] = {
	    {"Content-Type", "text/html; charset=utf-8"},
	    {"Content-Security-Policy", PAGE_POLICY},
	    {"Referrer-Policy", "no-referrer"},
	    {"Cache-Control", "no-store"},
	    {"X-Content-Type-Options", "nosniff"},
	};

	httpd_reply(req, 200, headers, NELEMS(headers),
	    (struct str){(const char *)embed_src_app_preview_html,
		embed_src_app_preview_html_len});
}

static int
is_shown(const struct preview *p, const struct dispatch_script *script)
{
	return p->options->script == NULL ||
	       strcmp(script->name, p->options->script) == 0;
}

/* The scripts, and the components that they declare. */
static void
reply_state(struct preview *p, struct httpd_request *req)
{
	struct buf body = BUF_INIT;
	struct jwrite w = jwrite_begin(&body, 0);
	struct dispatch_script script;
	struct jdoc doc = {0};
	const struct jval *list;
	size_t i;

	jwrite_object(&w);
	jwrite_key(&w, "version");
	jwrite_uint(&w, p->version);
	jwrite_key(&w, "scripts");
	jwrite_array(&w);
	for (i = 0; dispatch_script_at(p->dispatch, i, &script) == 0; i++) {
		if (!is_shown(p, &script) ||
		    strcmp(script.state, "removed") == 0)
			continue;
		jwrite_object(&w);
		jwrite_member_text(&w, "name", script.name);
		jwrite_member_text(&w, "state", script.state);
		jwrite_member_text(&w, "error", script.error);
		jwrite_key(&w, "components");
		if (script.declared != NULL &&
		    jdoc_parse(&doc, script.declared, strlen(script.declared),
			NULL, NULL) == 0 &&
		    (list = jdoc_gets(jdoc_root(&doc), "ui")) != NULL) {
			jwrite_jval(&w, list);
		} else {
			jwrite_array(&w);
			jwrite_array_end(&w);
		}
		jwrite_object_end(&w);
	}
	jwrite_array_end(&w);
	jwrite_object_end(&w);
	httpd_reply_json(req, 200, (struct str){body.data, body.len});
	jdoc_free(&doc);
	buf_free(&body);
}

static void
put_list(struct jwrite *w, const char *key, struct str json)
{
	jwrite_key(w, key);
	jwrite_raw(w, json.len > 0 ? json : STR("[]"));
}

static void
put_request(struct jwrite *w, const struct asked *a)
{
	jwrite_key(w, "request");
	jwrite_object(w);
	jwrite_member_text(w, "method", a->method);
	jwrite_member_text(w, "path", a->target);
	jwrite_key(w, "headers");
	jwrite_object(w);
	jwrite_member_text(w, "Content-Type", "application/json");
	if (a->signature[0] != '\0')
		jwrite_member_text(w, "Sentry-App-Signature", a->signature);
	jwrite_object_end(w);
	jwrite_key(w, "body");
	jwrite_str(w, (struct str){buf_text(&a->body), a->body.len});
	jwrite_object_end(w);
}

static void
answered(void *cookie, const struct dispatch_reply *reply)
{
	struct asked *a = cookie;
	struct buf body = BUF_INIT;
	struct jwrite w = jwrite_begin(&body, 0);

	jwrite_object(&w);
	put_request(&w, a);
	jwrite_key(&w, "response");
	jwrite_object(&w);
	jwrite_member_int(&w, "status", reply->status);
	jwrite_member_text(&w, "location", reply->location);
	jwrite_key(&w, "body");
	jwrite_raw(&w, reply->body);
	jwrite_object_end(&w);
	jwrite_key(&w, "run");
	jwrite_object(&w);
	jwrite_member_text(&w, "script", reply->script);
	jwrite_member_int(&w, "duration_ms", (int64_t)reply->duration_ms);
	jwrite_member_text(&w, "error", reply->error);
	jwrite_member_text(&w, "traceback", reply->traceback);
	put_list(&w, "log", reply->log_json);
	put_list(&w, "calls", reply->calls_json);
	jwrite_object_end(&w);
	jwrite_object_end(&w);
	httpd_reply_json(a->req, 200, (struct str){body.data, body.len});
	buf_free(&body);
	buf_free(&a->body);
	free(a->route);
	free(a->method);
	free(a->target);
	free(a);
}

/* ---- requests as Sentry makes them ------------------------------------------
 */

/* The members of ${query} as Sentry puts them into an address. */
static void
put_target(struct buf *out, const struct jval *query)
{
	struct buf form = BUF_INIT;
	const struct jval *e;
	char *name, *value;
	size_t i;

	for (i = 0, e = query + 1; i < query->len; i++, e = jval_next(e + 1)) {
		if (jval_kind(e + 1) != JDOC_STRING || (e + 1)->len == 0)
			continue;
		name = mem_strndup(e->v.s, e->len);
		value = mem_strndup((e + 1)->v.s, (e + 1)->len);
		form_put(&form, name, value);
		free(name);
		free(value);
	}
	if (form.len > 0)
		buf_printf(out, "?%s", form.data);
	buf_free(&form);
}

/*
 * {"route", "body"} is a form that is sent, {"route", "query"} what asks for
 * options or a link: sign it, and have the script answer.
 */
static void
handle_request(struct preview *p, struct httpd_request *req)
{
	const struct preview_options *o = p->options;
	struct dispatch_request request = {0};
	struct str text = httpd_body(req), route;
	const struct jval *body, *query, *content;
	struct buf target = BUF_INIT, json = BUF_INIT;
	struct jdoc doc = {0};
	struct jwrite w = jwrite_begin(&json, 0);
	struct asked *a;

	if (jdoc_parse(&doc, text.data, text.len, NULL, NULL) == -1)
		goto bad;
	route = jdoc_get_str(jdoc_root(&doc), "route");
	body = jdoc_gets(jdoc_root(&doc), "body");
	query = jdoc_gets(jdoc_root(&doc), "query");
	content = body != NULL ? body : query;
	if (route.len == 0 || content == NULL ||
	    jval_kind(content) != JDOC_OBJECT)
		goto bad;
	a = mem_zalloc(sizeof(*a));
	a->preview = p;
	a->req = req;
	a->route = mem_strndup(route.data, route.len);
	a->method = mem_strdup(body != NULL ? "POST" : "GET");
	if (strcmp(o->integration, "default") != 0)
		buf_printf(&target, "/i/%s", o->integration);
	buf_printf(&target, "/ui/%s", a->route);
	jwrite_jval(&w, content);
	if (body != NULL)
		buf_put(&a->body, json.data, json.len);
	else
		put_target(&target, query);
	a->target = buf_take(&target);
	/* A link beside a stack frame is not signed. */
	if (strcmp(a->route, "stacktrace-link") != 0)
		signature_sign(
		    p->key, buf_text(&a->body), a->body.len, a->signature);
	request.integration = o->integration;
	request.route = a->route;
	request.request_json = (struct str){json.data, json.len};
	request.deadline_ms = o->config->ui_timeout_ms;
	request.done = answered;
	request.cookie = a;
	dispatch_invoke(p->dispatch, &request);
	buf_free(&json);
	jdoc_free(&doc);
	return;

bad:
	buf_free(&json);
	jdoc_free(&doc);
	httpd_reply_error(req, 400, "bad_request",
	    "a route, and an object as body or query, are needed");
}

/* {"script", "settings"}: a sample alert, for the script's fire. */
static void
handle_fire(struct preview *p, struct httpd_request *req)
{
	struct str text = httpd_body(req), name;
	const struct jval *settings;
	struct jdoc doc = {0};
	char *script = NULL;

	if (jdoc_parse(&doc, text.data, text.len, NULL, NULL) == 0) {
		name = jdoc_get_str(jdoc_root(&doc), "script");
		settings = jdoc_gets(jdoc_root(&doc), "settings");
		if (name.len > 0 && settings != NULL &&
		    jval_kind(settings) == JDOC_ARRAY) {
			script = mem_strndup(name.data, name.len);
			preview_fire(p->fires, req, script, settings);
		}
	}
	if (script == NULL)
		httpd_reply_error(req, 400, "bad_request",
		    "a script, and a list of settings, are needed");
	free(script);
	jdoc_free(&doc);
}

/* ---- who may ask ------------------------------------------------------------
 */

static int
is_host(const struct preview *p, const char *host)
{
	const char *port = strrchr(p->address, ':');
	char *other;
	int good;

	if (host == NULL)
		return 0;
	other = mem_printf("localhost%s", port);
	good = strcmp(host, p->address) == 0 || strcmp(host, other) == 0;
	free(other);
	return good;
}

/* In constant time: others on this machine can ask, too. */
static int
is_token(const struct preview *p, const char *token)
{
	size_t len = strlen(p->token), i;
	unsigned int differ = 0;

	if (token == NULL || strlen(token) != len)
		return 0;
	for (i = 0; i < len; i++)
		differ |= (unsigned char)(token[i] ^ p->token[i]);
	return differ == 0;
}

static void
handle(struct httpd_request *req, void *cookie)
{
	struct preview *p = cookie;
	struct str path = httpd_path(req);
	int post = httpd_method(req) == HTTPD_POST;
	int page = str_eq(path, STR("/")) && httpd_method(req) == HTTPD_GET;
	char *token = NULL;

	if (page)
		token = form_get(httpd_query(req), "token");
	else
		token = mem_strdup(httpd_header(req, "X-Preview-Token"));
	if (!is_host(p, httpd_header(req, "Host")))
		httpd_reply_error(req, 403, "forbidden",
		    "this page is asked for by its own address alone");
	else if (!is_token(p, token))
		httpd_reply_error(req, 401, "unauthorized",
		    "use the address that 'moonpost preview' has printed");
	else if (page)
		reply_page(req);
	else if (str_eq(path, STR("/api/state")) && !post)
		reply_state(p, req);
	else if (str_eq(path, STR("/api/request")) && post)
		handle_request(p, req);
	else if (str_eq(path, STR("/api/fire")) && post)
		handle_fire(p, req);
	else
		httpd_reply_error(
		    req, 404, "not_found", "there is nothing at this path");
	free(token);
}

/* ---- start and end
 * ----------------------------------------------------------- */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	(void)remove(path);
	return 0;
}

static void
stop_cb(evutil_socket_t signo, short what, void *cookie)
{
	struct preview *p = cookie;

	(void)signo;
	(void)what;
	loop_stop(p->loop);
}

static int
is_unsafe(void *cookie, const char *integration, const char *name)
{
	const struct preview *p = cookie;

	return config_is_unsafe(p->options->config, integration, str_of(name));
}

static void
start_dispatch(struct preview *p)
{
	const struct config *config = p->options->config;
	const struct dispatch_options options = {
	    .base = loop_base(p->loop),
	    .store = p->store,
	    .mailbox = loop_mailbox(p->loop),
	    .catalog = p->catalog,
	    .data_dir = p->dir,
	    .workers = 1,
	    .limits = {.mem_bytes = config->memory_limit,
		.cpu_ms = config->cpu_limit_ms,
		.handler_ms = config->handler_timeout_ms,
		.debug = 1,
		.guard = {p->guard.data, p->guard.len},
		.proxy = str_of(config->proxy)},
	    .cookie = p,
	    .secret = give_secret,
	    .unsafe = is_unsafe,
	    .redact = redact,
	    .routes = take_routes,
	    .script = script_changed,
	    .job = job_changed,
	    /* Whoever looks on wants to see it fail. */
	    .retry_attempts = 1,
	};

	p->fires = preview_fires_create(&(struct preview_fire_options){
	    .store = p->store,
	    .mailbox = loop_mailbox(p->loop),
	    .catalog = p->catalog,
	    .integration = p->options->integration,
	    .key = p->key,
	});
	app_unsafe_begin(config);
	p->dispatch = dispatch_create(&options);
}

/* What Sentry would sign with, or what stands in for it. */
static void
make_key(struct preview *p)
{
	const struct config_integration *in = config_find_integration(
	    p->options->config, p->options->integration);
	const char *secret = "preview";

	if (in != NULL && in->client_secrets.n > 0)
		secret = in->client_secrets.items[0];
	p->key = signature_key_create(secret, strlen(secret));
	if (in != NULL && in->client_secrets.n > 0)
		secrets_remember(p->secrets, secret, strlen(secret));
}

static int
listen_here(struct preview *p, struct err *err)
{
	const struct config_address *at = &p->options->config->preview_listen;
	const struct httpd_options options = {.handle = handle, .cookie = p};
	char *address;
	int fd, rc;

	if (strncmp(at->host, "127.", 4) != 0 &&
	    strcmp(at->host, "localhost") != 0 && strcmp(at->host, "::1") != 0)
		return err_set(err, ERR_INVALID,
		    "--listen %s: the preview is for this machine alone: "
		    "127.0.0.1:PORT",
		    at->host);
	address =
	    mem_printf(strchr(at->host, ':') == NULL ? "%s:%u" : "[%s]:%u",
		at->host, at->port);
	rc = listen_open(address, 1, &fd, p->address, err);
	free(address);
	return rc == -1 ? -1
			: httpd_create(p->loop, fd, &options, &p->httpd, err);
}

/* A folder that goes with us. */
static int
make_folder(struct preview *p, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	int n;

	n = snprintf(p->dir, sizeof(p->dir), "%s/moonpost-preview-XXXXXX",
	    tmp == NULL || tmp[0] == '\0' ? "/tmp" : tmp);
	if (n < 0 || (size_t)n >= sizeof(p->dir))
		(void)snprintf(
		    p->dir, sizeof(p->dir), "/tmp/moonpost-preview-XXXXXX");
	if (mkdtemp(p->dir) != NULL)
		return 0;
	p->dir[0] = '\0';
	return err_set(err, ERR_UNAVAILABLE, "cannot make a temporary folder");
}

static int
prepare(struct preview *p, struct err *err)
{
	const struct config *config = p->options->config;
	const struct store_options store = {
	    .path = p->dir, .max_bytes = STORE_BYTES};
	struct watch_options watch = {
	    .dir = p->options->folder, .changed = folder_changed, .cookie = p};
	static const int signals[] = {SIGINT, SIGTERM};
	size_t i;

	if (catalog_open((const char *const *)config->schemas.items,
		config->schemas.n, &p->catalog, err) == -1 ||
	    make_folder(p, err) == -1 ||
	    store_open(&store, &p->store, err) == -1 ||
	    loop_create(MAILBOX, &p->loop, err) == -1 ||
	    listen_here(p, err) == -1 ||
	    app_guard(p->options->config, &p->guard, err) == -1 ||
	    app_proxy(config, p->secrets, &p->proxy, err) == -1)
		return -1;
	for (i = 0; i < NELEMS(signals); i++) {
		p->signals[i] =
		    evsignal_new(loop_base(p->loop), signals[i], stop_cb, p);
		(void)event_add(p->signals[i], NULL);
	}
	make_key(p);
	start_dispatch(p);
	watch.base = loop_base(p->loop);
	return watch_start(&watch, &p->watch, err);
}

static void
take_apart(struct preview *p)
{
	size_t i;

	watch_stop(p->watch);
	/* As for a host: the store's last answers are for the dispatcher. */
	store_close(p->store);
	if (p->loop != NULL)
		mailbox_open_all(loop_mailbox(p->loop));
	dispatch_free(p->dispatch);
	preview_fires_free(p->fires);
	httpd_free(p->httpd);
	for (i = 0; i < NELEMS(p->signals); i++) {
		if (p->signals[i] != NULL)
			event_free(p->signals[i]);
	}
	loop_free(p->loop);
	catalog_free(p->catalog);
	signature_key_free(p->key);
	log_set_redactor(NULL, NULL);
	secrets_free(p->secrets);
	buf_free(&p->guard);
	proxy_free(p->proxy);
	if (p->dir[0] != '\0')
		(void)nftw(p->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
preview_run(const struct preview_options *options, struct err *err)
{
	struct preview p = {.options = options};
	char *url;
	int rc = -1;

	app_setup_log(options->config);
	random_hex(p.token, TOKEN_BYTES);
	p.secrets = secrets_create(options->config->secrets);
	log_set_redactor(secrets_redact, p.secrets);
	if (prepare(&p, err) == 0) {
		url = mem_printf("http://%s/?token=%s", p.address, p.token);
		options->ready(url);
		free(url);
		loop_run(p.loop);
		rc = 0;
	}
	take_apart(&p);
	return rc;
}
