#ifndef APP_SENTRY_H_
#define APP_SENTRY_H_

/*
 * The host's side of Sentry: keeps the vault, answers what scripts ask of it,
 * exchanges codes as installations come in, and shows the pages that a person
 * lands on.
 *
 * Floor: 6 (app).
 */

#include "base/compiler.h"

struct app_sentry;
struct config;
struct dispatch_ask;
struct err;
struct ingress_ui;
struct loop;
struct proxy;
struct secrets;
struct store;
struct store_append;

struct app_sentry_options {
	const struct config *config;
	struct loop *loop;
	struct store *store;
	struct secrets *secrets;
	const struct proxy *proxy; /* To Sentry; NULL: directly. */
};

/**
 * app_sentry_start(options, ret, err):
 * Open the vault with the keys of the configuration, or those of the data
 * folder, where one is made if there is none.
 *
 * Errors:    those of seal_open().
 * Ownership: keeps what the options point to; the caller frees with
 *            app_sentry_free().
 * Thread:    the main thread, as for all but the two that say otherwise.
 */
int app_sentry_start(const struct app_sentry_options *options,
    struct app_sentry **ret, struct err *err) ATTR_MUSTCHECK;

/* Take over the client ids and secrets of ${latest}. */
void app_sentry_configure(struct app_sentry *a, const struct config *latest);

/* Deliveries can come in: see what was left to do when the last host ended. */
void app_sentry_look_back(struct app_sentry *a);

/* Fits dispatch_options.ask; ${cookie} is the app_sentry. */
void app_sentry_ask(void *cookie, struct dispatch_ask *ask);

/* A delivery is stored: if it is about an installation, do our part.  Thread:
 * any. */
void app_sentry_stored(struct app_sentry *a, const struct store_append *append);

/* Fits ingress_ui_cb, for the pages.  Thread: any. */
void app_sentry_page(void *cookie, struct ingress_ui *ui);

/* The ingress is gone, and the store is about to go: answer all, ask for
 * nothing more.  NULL has no effect. */
void app_sentry_stop(struct app_sentry *a);
void app_sentry_free(struct app_sentry *a);

#endif /* !APP_SENTRY_H_ */
