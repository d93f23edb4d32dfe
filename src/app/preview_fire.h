#ifndef APP_PREVIEW_FIRE_H_
#define APP_PREVIEW_FIRE_H_

/*
 * An alert for the preview: a sample delivery with the settings of the form
 * goes into its store, an alert action's fire runs on it, and what came of that
 * is answered.
 *
 * Floor: 6 (app).
 */

#include "store/store.h"

struct catalog;
struct httpd_request;
struct jval;
struct mailbox;
struct preview_fires;
struct signature_key;

struct preview_fire_options {
	struct store *store;
	struct mailbox *mailbox; /* Of the loop that all of it happens in. */
	const struct catalog *catalog;
	const char *integration;
	const struct signature_key *key;
};

/* Keeps what ${options} point to; free with preview_fires_free(), after the
 * store was closed. */
struct preview_fires *preview_fires_create(
    const struct preview_fire_options *options);
void preview_fires_free(struct preview_fires *fires);

/**
 * preview_fire(fires, req, script, settings):
 * Have the alert action of ${script} fire, and answer ${req} when it has.
 *
 * Ownership: consumes ${req}; borrows the rest.  ${settings} is an array.
 */
void preview_fire(struct preview_fires *fires, struct httpd_request *req,
    const char *script, const struct jval *settings);

/* Fits dispatch_options.job, but for the cookie. */
void preview_fire_job(struct preview_fires *fires, const struct store_job *job,
    enum store_state state);

#endif /* !APP_PREVIEW_FIRE_H_ */
