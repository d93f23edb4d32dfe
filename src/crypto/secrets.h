#ifndef CRYPTO_SECRETS_H_
#define CRYPTO_SECRETS_H_

/*
 * The users' secrets by name, from the environment or a folder of files, and
 * the last line of defence for the logs: every value that was ever revealed is
 * remembered, and replaced wherever it would be printed.
 *
 * Floor: 1 (crypto).  May include base/.
 */

#include <stddef.h>

#include "base/compiler.h"

struct buf;
struct err;
struct secret;
struct secrets;

/* Shorter values are not redacted: they would be found in every other word. */
#define SECRETS_REDACT_MIN 6

/* A file that is longer is no secret. */
#define SECRETS_MAX_BYTES 65536

/**
 * secrets_create(dir):
 * Secrets from the environment and, where it has none of that name, from the
 * folder ${dir} (NULL: none).
 *
 * Ownership: borrows ${dir}; the caller frees with secrets_free().
 */
struct secrets *secrets_create(const char *dir);
void secrets_free(struct secrets *secrets);

/**
 * secrets_get(secrets, integration, name, ret_secret, err):
 * Look up the secret ${name} of ${integration} ("default", or one that has
 * NAME__X in the environment and NAME/X in the folder), and remember its value
 * for secrets_redact().  One newline at a file's end does not belong to it.
 *
 * Errors:    ERR_INVALID      not a name that is allowed: [A-Z][A-Z0-9_]*, not
 *                             MOONPOST_*, SENTRY_CLIENT_*, nor with "__";
 *            ERR_NOT_FOUND    there is none; the message says where to put it;
 *            ERR_UNAVAILABLE  its file cannot be read;
 *            ERR_TOO_LARGE    its file is longer than SECRETS_MAX_BYTES.
 * Ownership: the caller frees with secret_free().
 * Thread:    any; may read a file.
 */
int secrets_get(struct secrets *secrets, const char *integration,
    const char *name, struct secret **ret_secret,
    struct err *err) ATTR_MUSTCHECK;

/**
 * secrets_remember(secrets, value, len):
 * Have a value redacted that came another way: a client secret, a token.
 *
 * Ownership: borrows ${value}.
 * Thread:    any.
 */
void secrets_remember(struct secrets *secrets, const char *value, size_t len);

/* A value that was remembered once does not open anything any more.  Ownership,
 * thread: as above. */
void secrets_forget(struct secrets *secrets, const char *value, size_t len);

/**
 * secrets_redact(cookie, line):
 * Replace in ${line} every remembered value by "[redacted]": as it is, escaped
 * as in JSON, URL-encoded, and in base64 of either alphabet, also where it is
 * only a part of what was encoded.  Fits log_set_redactor().
 *
 * Ownership: ${cookie} is a struct secrets *; may be NULL.
 * Thread:    any.
 */
void secrets_redact(void *cookie, struct buf *line);

#endif /* !CRYPTO_SECRETS_H_ */
