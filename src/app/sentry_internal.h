#ifndef APP_SENTRY_INTERNAL_H_
#define APP_SENTRY_INTERNAL_H_

/*
 * The parts of app/sentry.h: sentry.c (scripts, installations), sentry_pages.c
 * (what a person sees).
 *
 * Floor: 6 (app).  Private to its folder.
 */

#include "app/sentry.h"

struct config_integration;
struct reach;
struct seal;
struct tokens;

struct app_sentry {
	struct app_sentry_options options;
	const struct config *latest; /* The newest configuration. */
	struct seal *seal;
	struct reach *reach;
	struct tokens *tokens;
	struct look *look; /* Back, while that goes on. */
	int stopped;
};

/* A page was asked for; on the main loop.  Consumes ${ui}. */
void app_sentry_setup(struct app_sentry *a, struct ingress_ui *ui);

#endif /* !APP_SENTRY_INTERNAL_H_ */
