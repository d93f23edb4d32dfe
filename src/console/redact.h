#ifndef CONSOLE_REDACT_H_
#define CONSOLE_REDACT_H_

/*
 * Takes out of a delivery what nobody should read off a screen.
 *
 * Floor: 5 (console).  Private to its folder, and to its test.
 */

#include "base/str.h"

struct buf;

/**
 * redact_json(json, redact, cookie, out):
 * Append the JSON text ${json} with "[redacted]" in place of
 *
 * - every value that ${redact} (may be NULL) finds in a text or a number;
 * - the headers Authorization, Cookie, X-*, and those whose name speaks of a
 *   signature, a token, a secret, a password or an API key;
 * - the code of an installation in the payload, wherever else it is, too.
 *
 * All else is copied byte by byte, so numbers stay as they were sent.
 *
 * Ownership: borrows everything.  ${json} must be valid.
 */
void redact_json(struct str json,
    void (*redact)(void *cookie, struct buf *text), void *cookie,
    struct buf *out);

#endif /* !CONSOLE_REDACT_H_ */
