#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mailbox.h"
#include "base/mem.h"
#include "catalog/routes.h"
#include "net/httpd.h"
#include "net/loop.h"
#include "net/tls.h"
#include "store/store.h"

#include "ingress/ingress_internal.h"

/* Threads beyond this only get into each other's way. */
#define MAX_THREADS 64

#define DEFAULT_WAITING 4096

/* ---- routes ---------------------------------------------------------------
 */

enum endpoint
endpoint_find(const struct site_config *config, struct str path,
    const struct site **ret_site, struct str *ret_route)
{
	static const char ui[] = "/ui/";
	struct str name = STR("default"), rest = path;
	const char *slash;

	if (str_eq(path, STR("/healthz")))
		return ENDPOINT_HEALTHZ;
	if (str_eq(path, STR("/readyz")))
		return ENDPOINT_READYZ;
	if (path.len > 3 && memcmp(path.data, "/i/", 3) == 0) {
		slash = memchr(path.data + 3, '/', path.len - 3);
		if (slash == NULL)
			return ENDPOINT_NONE;
		name = (struct str){
		    path.data + 3, (size_t)(slash - path.data) - 3};
		rest =
		    (struct str){slash, path.len - (size_t)(slash - path.data)};
	}
	*ret_site = site_find(config, name);
	if (*ret_site == NULL)
		return ENDPOINT_NONE;
	if (str_eq(rest, STR("/webhook")))
		return ENDPOINT_WEBHOOK;
	if (str_eq(rest, STR("/setup")) ||
	    str_eq(rest, STR("/oauth/callback"))) {
		*ret_route = (struct str){rest.data + 1, rest.len - 1};
		return ENDPOINT_PAGE;
	}
	if (rest.len <= sizeof(ui) - 1 ||
	    memcmp(rest.data, ui, sizeof(ui) - 1) != 0)
		return ENDPOINT_NONE;
	*ret_route = (struct str){
	    rest.data + sizeof(ui) - 1, rest.len - (sizeof(ui) - 1)};
	return ui_find(*ret_route);
}

/* What an endpoint takes; 0 if ${method} is of that. */
static int
check_method(
    enum endpoint endpoint, enum httpd_method method, const char **ret_allow)
{
	switch (endpoint) {
	case ENDPOINT_NONE:
		return 404;
	case ENDPOINT_WEBHOOK:
	case ENDPOINT_UI_POST:
		*ret_allow = "POST";
		return method == HTTPD_POST ? 0 : 405;
	case ENDPOINT_UI_GET:
	case ENDPOINT_PAGE:
		*ret_allow = "GET";
		return method == HTTPD_GET ? 0 : 405;
	case ENDPOINT_HEALTHZ:
	case ENDPOINT_READYZ:
		break;
	}
	*ret_allow = "GET, HEAD";
	return method == HTTPD_GET || method == HTTPD_HEAD ? 0 : 405;
}

static int
route_cb(enum httpd_method method, struct str path, const char **ret_allow,
    void *cookie)
{
	struct ingress_thread *t = cookie;
	const struct site *site;
	struct str route;

	return check_method(
	    endpoint_find(t->config, path, &site, &route), method, ret_allow);
}

static void
answer_readyz(struct ingress_thread *t, struct httpd_request *req)
{
	if (t->draining)
		httpd_reply_error(req, 503, "stopping", NULL);
	else if (!store_usable(t->ingress->store))
		httpd_reply_error(req, 503, "store_unavailable", NULL);
	else
		httpd_reply_json(req, 200, STR("{\"status\":\"ready\"}"));
}

static void
handle_cb(struct httpd_request *req, void *cookie)
{
	struct ingress_thread *t = cookie;
	const struct site *site = NULL;
	const char *allow = NULL;
	struct str route = {NULL, 0};
	enum endpoint endpoint;
	int status;

	endpoint = endpoint_find(t->config, httpd_path(req), &site, &route);
	status = check_method(endpoint, httpd_method(req), &allow);
	if (status == 404)
		httpd_reply_error(req, 404, "not_found",
		    "there is nothing at this path; deliveries go to /webhook "
		    "or /i/NAME/webhook");
	else if (status == 405)
		httpd_reply_not_allowed(req, allow);
	else if (endpoint == ENDPOINT_WEBHOOK)
		webhook_handle(t, req, site);
	else if (endpoint == ENDPOINT_UI_POST || endpoint == ENDPOINT_UI_GET)
		ui_handle(t, req, site, route);
	else if (endpoint == ENDPOINT_PAGE)
		page_handle(t, req, site, route);
	else if (endpoint == ENDPOINT_READYZ)
		answer_readyz(t, req);
	else
		httpd_reply_json(req, 200, STR("{\"status\":\"ok\"}"));
}

/* ---- news from other threads ----------------------------------------------
 */

static void
take_news(void *cookie)
{
	struct ingress_thread *t = cookie;
	struct site_config *config;
	struct routes *routes;
	int draining;

	(void)pthread_mutex_lock(&t->lock);
	config = t->next_config;
	t->next_config = NULL;
	routes = t->next_routes;
	t->next_routes = NULL;
	draining = t->next_draining;
	(void)pthread_mutex_unlock(&t->lock);

	if (config != NULL) {
		site_config_unref(t->config);
		t->config = config;
	}
	if (routes != NULL) {
		routes_unref(t->routes);
		t->routes = routes;
	}
	if (draining && !t->draining) {
		t->draining = 1;
		httpd_stop_accepting(t->httpd);
	}
}

/* Publish what only this thread can see. */
static void
report(void *cookie)
{
	struct ingress_thread *t = cookie;
	struct httpd_stats stats = httpd_stats(t->httpd);

	atomic_store(&t->busy, stats.busy + t->waiting);
	atomic_store(&t->counts[COUNT_CONNECTIONS], stats.open);
	atomic_store(&t->counts[COUNT_GATE], stats.refused);
	(void)atomic_fetch_add(&t->asked, 1);
}

/* Ask every thread, and wait for what they say. */
static size_t
ask_all(struct ingress *ingress)
{
	const struct timespec pause = {0, 200000};
	unsigned int before[MAX_THREADS];
	size_t i, busy = 0;

	for (i = 0; i < ingress->nstarted; i++) {
		before[i] = atomic_load(&ingress->threads[i].asked);
		loop_call(
		    ingress->threads[i].loop, report, &ingress->threads[i]);
	}
	for (i = 0; i < ingress->nstarted; i++) {
		while (atomic_load(&ingress->threads[i].asked) == before[i])
			(void)nanosleep(&pause, NULL);
		busy += atomic_load(&ingress->threads[i].busy);
	}
	return busy;
}

void
ingress_set_routes(struct ingress *ingress, struct routes *routes)
{
	struct ingress_thread *t;
	size_t i;

	for (i = 0; i < ingress->nthreads; i++) {
		t = &ingress->threads[i];
		(void)pthread_mutex_lock(&t->lock);
		routes_unref(t->next_routes);
		t->next_routes = routes_ref(routes);
		(void)pthread_mutex_unlock(&t->lock);
		loop_call(t->loop, take_news, t);
	}
}

void
ingress_change(struct ingress *ingress, const struct ingress_options *options)
{
	struct site_config *config =
	    site_config_create(options, ingress->config);
	struct ingress_thread *t;
	size_t i;

	for (i = 0; i < ingress->nthreads; i++) {
		t = &ingress->threads[i];
		(void)pthread_mutex_lock(&t->lock);
		site_config_unref(t->next_config);
		t->next_config = site_config_ref(config);
		(void)pthread_mutex_unlock(&t->lock);
		loop_call(t->loop, take_news, t);
	}
	site_config_unref(ingress->config);
	ingress->config = config;
}

/* The requests of this round have been looked at. */
static void
submit_all(void *cookie)
{
	struct ingress_thread *t = cookie;

	store_submit_all(t->ingress->store, &t->batch);
}

/* ---- start and stop -------------------------------------------------------
 */

static int
thread_start(struct ingress_thread *t, int fd, const struct ingress_options *o,
    struct err *err)
{
	struct httpd_options httpd = {
	    .max_connections = (o->max_connections + t->ingress->nthreads - 1) /
			       t->ingress->nthreads,
	    .max_headers = o->max_headers,
	    .max_body = o->max_body,
	    .request_timeout_ms = o->request_timeout_ms,
	    .tls = t->ingress->tls,
	    .handle = handle_cb,
	    .route = route_cb,
	    .cookie = t};
	char name[16];

	if (httpd_create(t->loop, fd, &httpd, &t->httpd, err) == -1)
		return -1;
	(void)snprintf(name, sizeof(name), "ingress-%u",
	    (unsigned int)(t - t->ingress->threads) % 1000);
	if (loop_start(t->loop, name, err) == -1)
		return -1;
	t->ingress->nstarted++;
	return 0;
}

int
ingress_start(const struct ingress_options *o, struct ingress **ret_ingress,
    struct err *err)
{
	struct ingress *ingress = mem_zalloc(sizeof(*ingress));
	struct ingress_thread *t;
	int fds[MAX_THREADS], rc = -1;
	size_t i, nfds = 0, used = 0;
	char *address = NULL;

	ingress->config = site_config_create(o, NULL);
	ingress->catalog = o->catalog;
	ingress->store = o->store;
	ingress->nthreads = o->threads == 0            ? 1
			    : o->threads > MAX_THREADS ? MAX_THREADS
						       : o->threads;
	ingress->stored = o->stored;
	ingress->stored_cookie = o->stored_cookie;
	ingress->ui = o->ui;
	ingress->ui_cookie = o->ui_cookie;
	ingress->page = o->page;
	ingress->page_cookie = o->page_cookie;
	ingress->max_waiting =
	    (o->max_waiting == 0 ? DEFAULT_WAITING : o->max_waiting) /
	    ingress->nthreads;
	if (ingress->max_waiting == 0)
		ingress->max_waiting = 1;
	ingress->threads =
	    mem_array(ingress->nthreads, sizeof(struct ingress_thread));
	for (i = 0; i < ingress->nthreads; i++) {
		t = &ingress->threads[i];
		t->ingress = ingress;
		(void)pthread_mutex_init(&t->lock, NULL);
		t->config = site_config_ref(ingress->config);
		t->routes = o->routes == NULL ? NULL : routes_ref(o->routes);
	}
	for (i = 0; i < ingress->nthreads; i++) {
		t = &ingress->threads[i];
		if (loop_create(ingress->max_waiting, &t->loop, err) == -1)
			goto out;
		t->submit = loop_timer_create(t->loop, submit_all, t);
	}

	if (o->tls_cert != NULL &&
	    tls_server_open(o->tls_cert, o->tls_key == NULL ? "" : o->tls_key,
		&ingress->tls, err) == -1)
		goto out;
	address = mem_printf(strchr(o->host, ':') == NULL ? "%s:%u" : "[%s]:%u",
	    o->host, o->port);
	if (listen_open(
		address, ingress->nthreads, fds, ingress->address, err) == -1)
		goto out;
	nfds = ingress->nthreads;
	for (i = 0; i < ingress->nthreads; i++) {
		used = i + 1;
		if (thread_start(&ingress->threads[i], fds[i], o, err) == -1)
			goto out;
	}

	*ret_ingress = ingress;
	ingress = NULL;
	rc = 0;
out:
	for (i = used; i < nfds; i++)
		(void)close(fds[i]);
	free(address);
	ingress_free(ingress);
	return rc;
}

uint16_t
ingress_port(const struct ingress *ingress)
{
	return (uint16_t)strtoul(strrchr(ingress->address, ':') + 1, NULL, 10);
}

const char *
ingress_address(const struct ingress *ingress)
{
	return ingress->address;
}

struct ingress_stats
ingress_stats(struct ingress *ingress)
{
	uint64_t sums[COUNT_COUNT] = {0};
	size_t i, k;

	(void)ask_all(ingress);
	for (i = 0; i < ingress->nthreads; i++) {
		for (k = 0; k < COUNT_COUNT; k++)
			sums[k] +=
			    atomic_load_explicit(&ingress->threads[i].counts[k],
				memory_order_relaxed);
	}
	return (struct ingress_stats){sums[COUNT_ACCEPTED],
	    sums[COUNT_DUPLICATE], sums[COUNT_IGNORED], sums[COUNT_INVALID],
	    sums[COUNT_BAD_SIGNATURE], sums[COUNT_BAD_REQUEST],
	    sums[COUNT_OVERLOADED], sums[COUNT_STORE_UNAVAILABLE],
	    sums[COUNT_CONNECTIONS], sums[COUNT_GATE], sums[COUNT_BODY_BYTES]};
}

size_t
ingress_drain(struct ingress *ingress, uint64_t deadline_ms)
{
	const struct timespec pause = {0, 2000000};
	uint64_t start = clock_mono_ms();
	struct ingress_thread *t;
	size_t i, busy;

	for (i = 0; i < ingress->nthreads; i++) {
		t = &ingress->threads[i];
		(void)pthread_mutex_lock(&t->lock);
		t->next_draining = 1;
		(void)pthread_mutex_unlock(&t->lock);
		loop_call(t->loop, take_news, t);
	}
	while ((busy = ask_all(ingress)) > 0 &&
	       clock_mono_ms() - start < deadline_ms)
		(void)nanosleep(&pause, NULL);
	return busy;
}

/* Whether the store still has something of a thread that is stopped. */
static void
wait_for_store(struct ingress_thread *t)
{
	submit_all(t);
	while (t->waiting > 0) {
		mailbox_wait(loop_mailbox(t->loop), -1);
		mailbox_open_all(loop_mailbox(t->loop));
	}
}

void
ingress_free(struct ingress *ingress)
{
	struct ingress_thread *t;
	size_t i;

	if (ingress == NULL)
		return;
	for (i = 0; i < ingress->nstarted; i++)
		loop_stop(ingress->threads[i].loop);
	for (i = 0; i < ingress->nthreads; i++) {
		t = &ingress->threads[i];
		if (t->loop != NULL)
			loop_join(t->loop);
		/* What was handed in comes back, and is answered into nothing.
		 */
		httpd_free(t->httpd);
		t->httpd = NULL;
		wait_for_store(t);
		ui_free_pending(t);
		webhook_free_spare(t);
		jdoc_free(&t->doc);
		loop_timer_free(t->submit);
		loop_free(t->loop);
		site_config_unref(t->config);
		site_config_unref(t->next_config);
		routes_unref(t->routes);
		routes_unref(t->next_routes);
		(void)pthread_mutex_destroy(&t->lock);
	}
	tls_server_free(ingress->tls);
	site_config_unref(ingress->config);
	free(ingress->threads);
	free(ingress);
}
