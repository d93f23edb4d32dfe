#ifndef APP_SETTINGS_H_
#define APP_SETTINGS_H_

/*
 * The configuration file, moonpost.lua: where it is, whether it may be trusted,
 * and its values in struct config.
 *
 * Floor: 6 (app).  May include everything below.
 */

#include "base/compiler.h"

struct config;
struct err;
struct jval;

/* A configuration file is evaluated this long at most. */
#define SETTINGS_DEADLINE_MS 5000

/**
 * settings_load(config, warning, err):
 * Read the configuration file that the flags and the environment in ${config}
 * lead to (--config, or moonpost.lua beside the scripts folder), evaluate it in
 * a worker process, and finish ${config}.  No file beside the scripts folder is
 * as good as an empty one; one that does not belong to the user, or that others
 * can write to, is passed over, and ${warning} says so (ERR_NONE: nothing to
 * say).
 *
 * Errors:    ERR_INVALID      a wrong key or value, or Lua that fails;
 *            ERR_NOT_FOUND    no file where --config says;
 *            ERR_UNAVAILABLE  it cannot be read, or no worker started;
 *            ERR_TIMEOUT      it does not end.
 * Thread:    any; blocks until the worker has answered.
 */
int settings_load(
    struct config *config, struct err *warning, struct err *err) ATTR_MUSTCHECK;

/**
 * settings_apply(config, table, file, err):
 * Set what the table of the configuration file ${file} says, as JSON.
 *
 * Errors:    ERR_INVALID      not an object, an unknown key (the closest one is
 *                             suggested), or not a value for its key.
 * Ownership: borrows everything.
 */
int settings_apply(struct config *config, const struct jval *table,
    const char *file, struct err *err) ATTR_MUSTCHECK;

#endif /* !APP_SETTINGS_H_ */
