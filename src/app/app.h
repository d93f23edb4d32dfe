#ifndef APP_APP_H_
#define APP_APP_H_

/*
 * `moonpost serve`: puts the floors together, and takes them apart again.
 *
 * Floor: 6 (app).  May include everything below.
 */

#include "base/compiler.h"

struct buf;
struct config;
struct err;
struct proxy;
struct secrets;

/**
 * app_serve(config, err):
 * Run the host until SIGTERM or SIGINT.  The first lets the handlers that run
 * end and puts the rest back; the second does not wait for them.  SIGHUP looks
 * at the scripts and the configuration again.
 *
 * Returns:   0 after it was told to stop; -1 if it could not start.
 * Errors:    ERR_INVALID      something is missing or wrong in the
 * configuration; others           what it needs could not be opened or reached.
 * Ownership: borrows ${config}.
 * Thread:    the main thread; blocks.
 */
int app_serve(const struct config *config, struct err *err) ATTR_MUSTCHECK;

/* Have the log look as ${config} says: for serve and for every other command.
 */
void app_setup_log(const struct config *config);

/**
 * app_dev_secret(data_dir, make, ret_secret, err):
 * The client secret of development, kept in the data folder; ${make} it if
 * there is none.
 *
 * Errors:    ERR_NOT_FOUND    there is none, and it is not to be made;
 *            ERR_UNAVAILABLE  the file cannot be read or written.
 * Ownership: the caller frees *${ret_secret} with free().
 * Thread:    any; blocks on the disk.
 */
int app_dev_secret(const char *data_dir, int make, char **ret_secret,
    struct err *err) ATTR_MUSTCHECK;

/**
 * app_console_token(config, make, ret_token, err):
 * The token of the console: the configured one, or the one that is kept in the
 * data folder; ${make} it if there is none, and keep it.
 *
 * Errors:    ERR_NOT_FOUND    there is none, and it is not to be made;
 *            ERR_UNAVAILABLE  the file cannot be read or written.
 * Ownership: the caller frees *${ret_token} with free().
 * Thread:    any; blocks on the disk.
 */
int app_console_token(const struct config *config, int make, char **ret_token,
    struct err *err) ATTR_MUSTCHECK;

/**
 * app_proxy(config, secrets, ret_proxy, err):
 * The proxy of --proxy; NULL without one.  Its password is never logged.
 *
 * Errors:    ERR_INVALID      it is none.
 * Ownership: the caller frees with proxy_free().
 */
int app_proxy(const struct config *config, struct secrets *secrets,
    struct proxy **ret_proxy, struct err *err) ATTR_MUSTCHECK;

/**
 * app_guard(config, ret_guard, err):
 * Append to ${ret_guard} where scripts may connect to, as text (net/guard):
 * what
 * --dev, --allow-private and --allow-host open to them.
 *
 * Errors:    ERR_INVALID      --allow-host names no host.
 */
int app_guard(const struct config *config, struct buf *ret_guard,
    struct err *err) ATTR_MUSTCHECK;

#endif /* !APP_APP_H_ */
