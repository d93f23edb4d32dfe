#ifndef APP_PREVIEW_H_
#define APP_PREVIEW_H_

/*
 * moonpost preview: the forms of UI components as Sentry renders them, on a
 * page of this machine.  Scripts run in a worker as they do under a host, with
 * a store of their own that is gone afterwards; what they call is called.
 *
 * Floor: 6 (app).
 */

#include "base/compiler.h"

struct config;
struct err;

struct preview_options {
	const struct config *config;
	const char *integration; /* Whose secrets and scripts they are. */
	const char *folder;      /* Of the scripts. */
	const char *script;      /* The one to show; NULL: all. */

	/* It can be looked at: where. */
	void (*ready)(const char *url);
};

/**
 * preview_run(options, err):
 * Serve the page until SIGINT or SIGTERM.
 *
 * Errors:    ERR_INVALID      the address is none of this machine;
 *            ERR_NOT_FOUND    there is no such folder;
 *            others           what it needs could not be opened.
 * Thread:    the main thread; blocks.
 */
int preview_run(
    const struct preview_options *options, struct err *err) ATTR_MUSTCHECK;

#endif /* !APP_PREVIEW_H_ */
