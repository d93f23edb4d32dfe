#ifndef APP_SENTRY_INTERNAL_H_
#define APP_SENTRY_INTERNAL_H_

/*
 * The parts of app/sentry.h: sentry.c (scripts, installations), sentry_oauth.c
 * (flows in a browser), sentry_pages.c (what a person sees).
 *
 * Floor: 6 (app).  Private to its folder.
 */

#include <stddef.h>

#include "app/sentry.h"

struct jval;
struct reach;
struct seal;
struct tokens;

/* Codes, states and verifiers that are hidden at a time. */
#define APP_SENTRY_HIDDEN 64

struct app_sentry {
	struct app_sentry_options options;
	const struct config *latest; /* The newest configuration. */
	struct seal *seal;
	struct reach *reach;
	struct tokens *tokens;
	struct look *look; /* Back, while that goes on. */
	int stopped;
	char *hidden[APP_SENTRY_HIDDEN]; /* The last ones, in a ring. */
	size_t nhidden;
};

/* Answer with a page for a person; ${detail} may be NULL.  Consumes ${ui}. */
void app_sentry_show(struct ingress_ui *ui, int status, const char *title,
    const char *text, const char *detail);

/* GET /setup and GET /oauth/callback, on the main loop.  Consume ${ui}. */
void app_sentry_setup(struct app_sentry *a, struct ingress_ui *ui);
void app_sentry_oauth_callback(struct app_sentry *a, struct ingress_ui *ui);

/* "oauth-begin" and "oauth-flow" of a script.  Consume ${ask}. */
void app_sentry_oauth_begin(
    struct app_sentry *a, struct dispatch_ask *ask, const struct jval *args);
void app_sentry_oauth_flow(
    struct app_sentry *a, struct dispatch_ask *ask, const struct jval *args);

void app_sentry_forget_hidden(struct app_sentry *a);

#endif /* !APP_SENTRY_INTERNAL_H_ */
