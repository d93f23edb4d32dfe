#ifndef APP_CONSOLE_H_
#define APP_CONSOLE_H_

/*
 * The console, wired to the other floors, with its token and its address in the
 * data folder, where the command line looks for them.
 *
 * Floor: 6 (app).  May include everything below.
 */

#include <stdint.h>

#include "base/compiler.h"
#include "store/store.h"

struct app_console;
struct catalog;
struct config;
struct dispatch;
struct err;
struct ingress;
struct loop;
struct routes;
struct secrets;

struct app_console_options {
	const struct config *config;
	struct loop *loop;
	struct store *store;
	const struct catalog *catalog;
	struct secrets *secrets;
	struct dispatch *dispatch;

	void *cookie; /* Of those that follow. */
	struct routes *(*routes)(void *cookie);
	int (*look)(
	    void *cookie, struct err *err); /* At the scripts folders. */
};

/**
 * app_console_start(options, ret_console, err):
 * Start it, and say where it is.  If nobody has chosen the address and it is
 * taken, a free port does as well: the host must not fail for that.
 *
 * Errors:    those of console_start() and app_console_token().
 * Ownership: keeps what the options point to; the caller frees with
 *            app_console_free(), after the store and before the dispatcher.
 * Thread:    the loop's, as for everything here that says nothing else.
 */
int app_console_start(const struct app_console_options *options,
    struct app_console **ret_console, struct err *err) ATTR_MUSTCHECK;
void app_console_free(struct app_console *console);

/* Whose numbers are among the metrics.  NULL ${console} has no effect, here and
 * below. */
void app_console_set_ingress(
    struct app_console *console, struct ingress *ingress);

/* A delivery was stored: fits ingress_stored_cb.  Thread: any. */
void app_console_delivery(void *cookie, const struct store_append *append);

/* A job, a script has another state: see struct dispatch_options. */
void app_console_job(struct app_console *console, const struct store_job *job,
    enum store_state state, uint64_t next_unix_ms, const char *error);
void app_console_script(
    struct app_console *console, const char *integration, const char *name);

/* The port that it listens on; 0: it is off. */
uint16_t app_console_port(const struct app_console *console);

/* The file in the data folder that says where the console of a host is that
 * runs.  The caller frees with free(). */
char *app_console_address_file(const struct config *config);

#endif /* !APP_CONSOLE_H_ */
