#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/mem.h"

#include "catalog/catalog.h"
#include "catalog/routes.h"
#include "config/config.h"
#include "config/option.h"
#include "crypto/secret.h"
#include "crypto/secrets.h"
#include "dispatch/dispatch.h"
#include "ingress/ingress.h"
#include "net/loop.h"
#include "net/proxy.h"
#include "store/store.h"
#include "wire/source.h"
#include "wire/watch.h"

#include "app/app.h"
#include "app/console.h"
#include "app/fill.h"
#include "app/requarantine.h"
#include "app/sentry.h"
#include "app/serve_internal.h"
#include "app/settings.h"
#include "app/ui.h"
#include "app/unsafe.h"

/* How long jobs wait for a script that is gone. */
#define RETAIN_GONE_MS (7 * 24 * UINT64_C(3600000))

/* Letters to the main loop: answers of the store, above all. */
#define MAIN_MAILBOX 65536

/* What is free is kept for the next delivery, up to so much. */
#define KEEP_BYTES (16U << 20)

/* A script that uses more CPU than that in a slice goes to the slow lane. */
#define SLOW_MS 100

/* ---- what the floors ask of each other ------------------------------------
 */

static int
give_secret(void *cookie, const char *integration, const char *name,
    struct buf *ret_value, struct err *err)
{
	struct app *app = cookie;
	struct secret *secret;

	if (secrets_get(app->secrets, integration, name, &secret, err) == -1)
		return -1;
	buf_put(ret_value, secret->data, secret->len);
	secret_free(secret);
	return 0;
}

static int
is_unsafe(void *cookie, const char *integration, const char *name)
{
	const struct app *app = cookie;

	return config_is_unsafe(app->config, integration, str_of(name));
}

static void
give_answer(void *cookie, struct dispatch_ask *ask)
{
	struct app *app = cookie;

	app_sentry_ask(app->sentry, ask);
}

static void
redact_run(void *cookie, struct buf *text)
{
	struct app *app = cookie;

	secrets_redact(app->secrets, text);
}

static void
job_changed(void *cookie, const struct store_job *job, enum store_state state,
    uint64_t next_unix_ms, const char *error)
{
	struct app *app = cookie;

	app_console_job(app->console, job, state, next_unix_ms, error);
}

static void
script_changed(void *cookie, const char *integration, const char *name)
{
	struct app *app = cookie;

	app_console_script(app->console, integration, name);
}

/* A delivery is stored; on a thread of the ingress. */
static void
delivery_stored(void *cookie, const struct store_append *append)
{
	struct app *app = cookie;

	app_console_delivery(app->console, append);
	app_sentry_stored(app->sentry, append);
}

static struct routes *
give_routes(void *cookie)
{
	struct app *app = cookie;

	return app->routes;
}

static void
take_routes(void *cookie, struct routes *routes)
{
	struct app *app = cookie;

	if (app->ingress != NULL)
		ingress_set_routes(app->ingress, routes);
	routes_unref(app->routes);
	app->routes = routes;
}

static void
folder_changed(void *cookie, struct source *source)
{
	struct folder *folder = cookie;

	if (!folder->app->stopping)
		dispatch_update(
		    folder->app->dispatch, folder->integration, source);
}

static void
folder_trouble(void *cookie, const char *why)
{
	struct folder *folder = cookie;

	if (why == NULL)
		log_info("scripts folder is back",
		    LOG_STR("integration", folder->integration),
		    LOG_STR("folder", folder->dir));
	else
		log_error("scripts folder cannot be read",
		    LOG_STR("integration", folder->integration),
		    LOG_STR("folder", folder->dir), LOG_STR("error", why));
}

/* ---- start ------------------------------------------------------------------
 */

/* Client secrets must not be logged either. */
void
serve_remember_secrets(struct app *app, const struct config *config)
{
	const struct config_integration *in;
	size_t i, k;

	for (i = 0; i < config->nintegrations; i++) {
		in = &config->integrations[i];
		for (k = 0; k < in->client_secrets.n; k++)
			secrets_remember(app->secrets,
			    in->client_secrets.items[k],
			    strlen(in->client_secrets.items[k]));
	}
}

/* Every integration needs a client secret: without one nothing can be genuine.
 */
static int
find_secrets(struct app *app, struct err *err)
{
	const struct config *config = app->config;
	const struct config_integration *in;
	size_t i;

	serve_remember_secrets(app, config);
	for (i = 0; i < config->nintegrations; i++) {
		in = &config->integrations[i];
		if (in->client_secrets.n > 0)
			continue;
		if (!config->dev)
			return err_set(err, ERR_INVALID,
			    "no client secret%s%s: set SENTRY_CLIENT_SECRET to "
			    "the one that Sentry shows for the integration "
			    "(client_secret in moonpost.lua), or try things "
			    "out with --dev",
			    i == 0 ? "" : " for the integration ",
			    i == 0 ? "" : in->name);
		if (app->dev_secret == NULL && app_dev_secret(config->data, 1,
						   &app->dev_secret, err) == -1)
			return -1;
	}
	if (app->dev_secret != NULL)
		secrets_remember(
		    app->secrets, app->dev_secret, strlen(app->dev_secret));
	return 0;
}

static int
open_store(struct app *app, struct err *err)
{
	const struct config *config = app->config;
	struct store_options options = {0};

	options.path = config->store_path;
	options.dedupe_window_ms = config->dedupe_window_ms;
	options.retain_done_ms = config->retain_done_ms;
	options.retain_dead_ms = config->retain_dead_ms;
	options.retain_gone_ms = RETAIN_GONE_MS;
	options.max_bytes = config->store_max_bytes;
	options.strict_order = config->ordering == CONFIG_ORDER_STRICT;
	if (store_open(&options, &app->store, err) == 0)
		return 0;

	/* A store that is damaged is no wrong usage. */
	err->code = ERR_UNAVAILABLE;
	return -1;
}

static int
start_sentry(struct app *app, struct err *err)
{
	const struct app_sentry_options options = {
	    .config = app->config,
	    .loop = app->loop,
	    .store = app->store,
	    .secrets = app->secrets,
	    .proxy = app->proxy,
	};

	return app_sentry_start(&options, &app->sentry, err);
}

static void
schedule_stored(void *cookie, const struct store_append *append)
{
	const struct app *app = cookie;

	app_console_delivery(app->console, append);
}

static enum preflight_level
preflight_of(const struct config *config)
{
	switch (config->preflight) {
	case CONFIG_PREFLIGHT_OFF:
		return PREFLIGHT_OFF;
	case CONFIG_PREFLIGHT_TEST:
		return PREFLIGHT_TEST;
	case CONFIG_PREFLIGHT_LOAD:
	case CONFIG_PREFLIGHT_AUTO:
	default:
		return PREFLIGHT_LOAD;
	}
}

/* Start the workers and give them the scripts. */
static int
start_scripts(struct app *app, struct err *err)
{
	const struct config *config = app->config;
	struct dispatch_options options = {0};
	struct watch_options watch = {0};
	size_t i;

	options.base = loop_base(app->loop);
	options.mailbox = loop_mailbox(app->loop);
	options.store = app->store;
	options.catalog = app->catalog;
	options.data_dir = config->data;
	options.workers = (unsigned int)config->workers;
	options.concurrency = (unsigned int)config->concurrency;
	options.preflight = preflight_of(config);
	options.limits.mem_bytes = config->memory_limit;
	options.limits.cpu_ms = config->cpu_limit_ms;
	options.limits.slow_ms = SLOW_MS;
	options.limits.handler_ms = config->handler_timeout_ms;
	options.limits.debug = config->log_level == LOG_DEBUG;
	options.limits.guard = (struct str){app->guard.data, app->guard.len};
	options.limits.proxy = str_of(config->proxy);
	options.retry_attempts = (unsigned int)config->retry_attempts;
	options.retry_base_ms = config->retry_base_ms;
	options.retry_max_ms = config->retry_max_ms;
	options.cookie = app;
	options.secret = give_secret;
	options.unsafe = is_unsafe;
	options.ask = give_answer;
	options.redact = redact_run;
	options.routes = take_routes;
	options.stored = schedule_stored;
	options.script = script_changed;
	options.job = job_changed;
	app_unsafe_begin(config);
	app->dispatch = dispatch_create(&options);

	app->folders = mem_array(config->nintegrations, sizeof(struct folder));
	for (i = 0; i < config->nintegrations; i++) {
		app->folders[i].app = app;
		app->folders[i].integration = config->integrations[i].name;
		app->folders[i].dir = config->integrations[i].scripts;
		watch.base = loop_base(app->loop);
		watch.dir = app->folders[i].dir;
		watch.changed = folder_changed;
		watch.trouble = folder_trouble;
		watch.cookie = &app->folders[i];
		if (watch_start(&watch, &app->folders[i].watch, err) == 0)
			continue;
		if (err->code == ERR_NOT_FOUND)
			return err_set(err, ERR_NOT_FOUND,
			    "there is no scripts folder %s: make it, or name "
			    "another with --scripts",
			    watch.dir);
		return err_prefix(err, "scripts folder (--scripts)");
	}
	return 0;
}

void
serve_fill_ingress(const struct config *config, struct ingress_options *options)
{
	options->max_age_ms = config->max_age_ms;
	options->keep_unhandled = config->keep_unhandled;
	options->validation =
	    config->validation == CONFIG_STRICT ? INGRESS_VALIDATION_STRICT
	    : config->validation == CONFIG_WARN ? INGRESS_VALIDATION_WARN
						: INGRESS_VALIDATION_OFF;
	options->dedupe = config->dedupe == CONFIG_DEDUPE_KEY
			      ? INGRESS_DEDUPE_KEY
			  : config->dedupe == CONFIG_DEDUPE_SIGNATURE
			      ? INGRESS_DEDUPE_SIGNATURE
			      : INGRESS_DEDUPE_OFF;
}

/* The integrations that are served, with their secrets as ${latest} has them;
 * for free(). */
struct ingress_integration *
serve_integrations(const struct app *app, const struct config *latest)
{
	const struct config *config = app->config;
	const struct config_integration *from;
	struct ingress_integration *in;
	size_t i;

	in = mem_array(config->nintegrations, sizeof(*in));
	for (i = 0; i < config->nintegrations; i++) {
		from = config_find_integration(
		    latest, config->integrations[i].name);
		if (from == NULL || from->client_secrets.n == 0)
			from = &config->integrations[i];
		in[i].name = from->name;
		in[i].secrets = (const char *const *)from->client_secrets.items;
		in[i].nsecrets = from->client_secrets.n;
		if (in[i].nsecrets == 0) {
			in[i].secrets = (const char *const *)&app->dev_secret;
			in[i].nsecrets = 1;
		}
	}
	return in;
}

/* Open the door. */
static int
start_ingress(struct app *app, struct err *err)
{
	const struct config *config = app->config;
	struct ingress_options options = {0};
	struct ingress_integration *in = serve_integrations(app, config);
	int rc;

	options.catalog = app->catalog;
	options.store = app->store;
	options.integrations = in;
	options.nintegrations = config->nintegrations;
	options.routes = app->routes;
	options.host = config->listen.host;
	options.port = config->listen.port;
	options.threads = (unsigned int)config->ingress_threads;
	options.tls_cert = config->tls_cert;
	options.tls_key = config->tls_key;
	options.max_body = config->max_body;
	options.max_headers = config->max_headers;
	options.max_connections = config->max_connections;
	options.request_timeout_ms = config->request_timeout_ms;
	options.stored = delivery_stored;
	options.stored_cookie = app;
	options.page = app_sentry_page;
	options.page_cookie = app->sentry;
	app->ui =
	    app_ui_create(app->loop, app->dispatch, config->ui_timeout_ms);
	options.ui = app_ui_ask;
	options.ui_cookie = app->ui;
	serve_fill_ingress(config, &options);
	rc = ingress_start(&options, &app->ingress, err);
	free(in);
	return rc;
}

/* Look at all scripts folders. */
int
serve_look_at_scripts(void *cookie, struct err *err)
{
	struct app *app = cookie;
	size_t i;

	if (app->stopping)
		return err_set(err, ERR_UNAVAILABLE, "the host is stopping");
	for (i = 0; i < app->config->nintegrations; i++) {
		if (app->folders[i].watch != NULL)
			watch_look(app->folders[i].watch);
	}
	return 0;
}

static int
start_console(struct app *app, struct err *err)
{
	struct app_console_options options = {
	    .config = app->config,
	    .loop = app->loop,
	    .store = app->store,
	    .catalog = app->catalog,
	    .secrets = app->secrets,
	    .dispatch = app->dispatch,
	    .cookie = app,
	    .routes = give_routes,
	    .look = serve_look_at_scripts,
	};

	if (app->config->console.host == NULL)
		return 0;
	return app_console_start(&options, &app->console, err);
}

/* ---- running --------------------------------------------------------------
 */

/* Stop the loop because of what is in app->err. */
static void
fail(struct app *app)
{
	app->failed = 1;
	loop_stop(app->loop);
}

/* Who handles what is known: what was refused may be welcome now. */
static void
start_requarantine(struct app *app)
{
	const struct requarantine_options options = {
	    .loop = app->loop,
	    .store = app->store,
	    .catalog = app->catalog,
	    .data_dir = app->config->data,
	    .routes = give_routes,
	    .cookie = app,
	};

	app->requarantine = requarantine_start(&options);
}

/* The first load of all scripts is over: deliveries can be routed now. */
static void
scripts_settled(void *cookie)
{
	struct app *app = cookie;
	const struct config *config = app->config;
	const char *host = config->listen.host;
	int v6 = strchr(host, ':') != NULL;
	char *url;

	if (app->stopping || app->ingress != NULL)
		return;
	if (start_console(app, app->err) == -1 ||
	    start_ingress(app, app->err) == -1) {
		fail(app);
		return;
	}
	if (app->console != NULL)
		dispatch_refuse(app->dispatch, app_console_port(app->console));
	dispatch_refuse(app->dispatch, ingress_port(app->ingress));
	app_console_set_ingress(app->console, app->ingress);
	url = mem_printf("%s://%s%s%s:%u",
	    config->tls_cert != NULL ? "https" : "http", v6 ? "[" : "", host,
	    v6 ? "]" : "", ingress_port(app->ingress));
	log_info("listening", LOG_STR("url", url),
	    LOG_INT("started_ms", clock_mono_ms() - app->started_mono_ms));
	free(url);
	app_unsafe_look(config, app->dispatch);
	start_requarantine(app);
	app_sentry_look_back(app->sentry);
}

/*
 * The terminal in whose foreground this was started, as a descriptor, or -1:
 * none, or nohup has asked to outlive it.
 */
static int
find_terminal(void)
{
	struct sigaction old;
	int fd;

	if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
		return -1;
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (tcgetpgrp(fd) == getpgrp())
			return fd;
	return -1;
}

/* Everything that is there before the loop runs. */
static int
prepare(struct app *app, struct err *err)
{
	const struct config *config = app->config;

	if (file_make_dir(config->data, 0700, err) == -1 ||
	    catalog_open((const char *const *)config->schemas.items,
		config->schemas.n, &app->catalog, err) == -1)
		return -1;
	app->secrets = secrets_create(config->secrets);
	log_set_redactor(secrets_redact, app->secrets);
	if (find_secrets(app, err) == -1 ||
	    app_proxy(config, app->secrets, &app->proxy, err) == -1 ||
	    open_store(app, err) == -1 ||
	    loop_create(MAIN_MAILBOX, &app->loop, err) == -1)
		return -1;
	app->fill = fill_watch(app->loop, app->store);
	if (serve_add_signals(app) == -1)
		return err_set(err, ERR_UNAVAILABLE, "cannot wait for signals");
	if (app_guard(app->config, &app->guard, err) == -1 ||
	    start_sentry(app, err) == -1)
		return -1;
	return start_scripts(app, err);
}

/* Half of it may not be there. */
static void
take_apart(struct app *app)
{
	size_t i;

	ingress_free(app->ingress);
	app_ui_stop(app->ui);
	app_sentry_stop(app->sentry);
	for (i = 0; app->folders != NULL && i < app->config->nintegrations; i++)
		watch_stop(app->folders[i].watch);
	/* The store first: its last answers go into the loop's mailbox, for the
	 * dispatcher, which therefore must still be there. */
	store_close(app->store);
	if (app->loop != NULL)
		mailbox_open_all(loop_mailbox(app->loop));
	app_console_free(app->console);
	requarantine_free(app->requarantine);
	fill_free(app->fill);
	loop_timer_free(app->answers);
	dispatch_free(app->dispatch);
	app_ui_free(app->ui);
	app_sentry_free(app->sentry);
	for (i = 0; i < NELEMS(app->signals); i++) {
		if (app->signals[i] != NULL)
			event_free(app->signals[i]);
	}
	loop_free(app->loop);
	routes_unref(app->routes);
	catalog_free(app->catalog);
	log_set_redactor(NULL, NULL);
	secrets_free(app->secrets);
	config_free(app->reloaded);
	free(app->folders);
	if (app->dev_secret != NULL)
		secret_wipe(app->dev_secret, strlen(app->dev_secret));
	free(app->dev_secret);
	buf_free(&app->guard);
	proxy_free(app->proxy);
}

int
app_serve(const struct config *config, struct err *err)
{
	struct app app = {.config = config, .err = err};
	int rc = -1;

	/* A file that may not grow (ulimit -f) is a disk that is full, no more.
	 */
	(void)signal(SIGXFSZ, SIG_IGN);
	mem_keep(KEEP_BYTES);
	app.started_mono_ms = clock_mono_ms();
	app.terminal = find_terminal();
	app_setup_log(config);
	log_info("starting", LOG_STR("version", MOONPOST_VERSION),
	    LOG_STR("libevent", event_get_version()),
	    LOG_STR("scripts", config->scripts), LOG_STR("data", config->data));
	if (geteuid() == 0)
		log_debug("running as root: a user of its own is safer");
	if (prepare(&app, err) == 0) {
		dispatch_when_settled(app.dispatch, scripts_settled, &app);
		loop_run(app.loop);
		rc = app.failed ? -1 : 0;
	}
	take_apart(&app);
	if (rc == 0)
		log_info("stopped");
	return rc;
}
