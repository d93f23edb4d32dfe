#ifndef APP_SERVE_INTERNAL_H_
#define APP_SERVE_INTERNAL_H_

/*
 * What the files of `moonpost serve` share: serve.c starts everything and takes
 * it apart, serve_signals.c stops and reloads what runs.  All of it is the main
 * thread's.
 *
 * Floor: 6 (app).  May include everything below.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"

struct app_console;
struct app_sentry;
struct app_ui;
struct catalog;
struct config;
struct dispatch;
struct err;
struct event;
struct fill;
struct ingress;
struct ingress_integration;
struct ingress_options;
struct loop;
struct loop_timer;
struct proxy;
struct requarantine;
struct routes;
struct secrets;
struct store;
struct watch;

/* The scripts folder of one integration, and the watch on it. */
struct folder {
	struct app *app;
	const char *integration; /* The config's. */
	const char *dir;         /* The config's. */
	struct watch *watch;
};

struct app {
	const struct config *config; /* Borrowed. */
	struct config *reloaded;     /* The newest after SIGHUP, or NULL. */
	struct catalog *catalog;
	struct secrets *secrets;
	struct store *store;
	struct loop *loop;
	struct dispatch *dispatch;
	struct routes *routes; /* The newest; holds a reference. */
	struct ingress *ingress;
	struct app_ui *ui;
	struct app_sentry *sentry;
	struct app_console *console; /* NULL: it is off. */
	struct folder *folders;      /* One an integration. */
	char *dev_secret;            /* NULL: there are real ones. */
	struct buf guard;           /* Where scripts may connect to, as text. */
	struct proxy *proxy;        /* Through what; NULL: directly. */
	struct loop_timer *answers; /* Looks if all requests are answered. */
	uint64_t answers_mono_ms;   /* Until when that is waited for. */
	int drained;                /* The dispatcher is. */
	struct fill *fill;
	struct requarantine *requarantine;
	struct event *signals[3];
	uint64_t started_mono_ms;
	int terminal; /* In whose foreground it was started, or -1. */
	int stopping;
	int failed; /* Once the loop was running: err says why. */
	struct err *err;
};

/* Have what is written down redacted of the secrets of a configuration. */
void serve_remember_secrets(struct app *app, const struct config *config);

/* The part of the ingress' options that a reload may change. */
void serve_fill_ingress(
    const struct config *config, struct ingress_options *options);

/* The integrations as the ingress takes them, with the secrets of ${latest};
 * the caller frees with free(). */
struct ingress_integration *serve_integrations(
    const struct app *app, const struct config *latest);

/* Look at the folders of scripts now. */
int serve_look_at_scripts(void *cookie, struct err *err);

/* Stop at SIGTERM and SIGINT, reload at SIGHUP.  -1: there is no memory. */
int serve_add_signals(struct app *app) ATTR_MUSTCHECK;

#endif /* !APP_SERVE_INTERNAL_H_ */
