#ifndef SENTRY_LOGIN_FILE_H_
#define SENTRY_LOGIN_FILE_H_

/*
 * Where the command line keeps a person's token: one sealed file in the data
 * folder, 0600, and a lock beside it, so that of many commands that find the
 * token expired one refreshes it.
 *
 * Floor: 3 (sentry).  May include base/, json/, crypto/.
 */

#include "base/compiler.h"

struct err;
struct login;
struct seal;

#define LOGIN_FILE "login"
#define LOGIN_LOCK "login.lock"

/**
 * login_file_load(data_dir, seal, ret, err):
 * Errors:    ERR_NOT_FOUND    nobody is logged in, or the file is under a key
 *                             that is not given: the message says which;
 *            ERR_INVALID      it does not hold what it should;
 *            ERR_UNAUTH       it was changed;
 *            ERR_UNAVAILABLE  it cannot be read.
 * Ownership: the caller frees with login_clear().
 */
int login_file_load(const char *data_dir, const struct seal *seal,
    struct login *ret, struct err *err) ATTR_MUSTCHECK;

/**
 * login_file_save(data_dir, seal, login, err):
 * Durable when this returns.
 *
 * Errors:    ERR_UNAVAILABLE  it cannot be written.
 */
int login_file_save(const char *data_dir, const struct seal *seal,
    const struct login *login, struct err *err) ATTR_MUSTCHECK;

/**
 * login_file_remove(data_dir, ret_was_there, err):
 * Errors:    ERR_UNAVAILABLE  it cannot be removed.
 */
int login_file_remove(
    const char *data_dir, int *ret_was_there, struct err *err) ATTR_MUSTCHECK;

/**
 * login_file_lock(data_dir, ret_fd, err):
 * Wait until nobody else changes the file.  The lock goes with the descriptor,
 * and with the process.
 *
 * Errors:    ERR_UNAVAILABLE  the lock cannot be opened.
 * Ownership: the caller closes *${ret_fd}.
 * Thread:    any; blocks.
 */
int login_file_lock(
    const char *data_dir, int *ret_fd, struct err *err) ATTR_MUSTCHECK;

#endif /* !SENTRY_LOGIN_FILE_H_ */
