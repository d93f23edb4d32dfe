#ifndef BASE_FORM_H_
#define BASE_FORM_H_

/*
 * application/x-www-form-urlencoded: the bodies of forms, and what stands
 * behind the question mark of a URL.
 *
 * Floor: 0 (base).
 */

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

/**
 * form_encode(out, s):
 * Append ${s} percent-encoded: everything but letters, digits and "-._~".
 */
void form_encode(struct buf *out, struct str s);

/**
 * form_put(out, name, value):
 * Append "name=value", encoded, with an ampersand before it where ${out} holds
 * something that ends neither in "?" nor in "&".  A NULL ${value} is left out.
 */
void form_put(struct buf *out, const char *name, const char *value);

/**
 * form_decode(s, plus, out):
 * Put in ${out} what is percent-encoded in ${s}; with ${plus}, a plus sign is a
 * blank.
 *
 * Returns:   0; -1 if it is malformed (a percent sign without digits, a NUL).
 */
int form_decode(struct str s, int plus, struct buf *out) ATTR_MUSTCHECK;

/**
 * form_next(form, name, value):
 * Take the next "name=value" off ${form}, both decoded.
 *
 * Returns:   1; 0 at the end; -1 if it is malformed (a percent sign without
 *            digits, a NUL).
 */
int form_next(
    struct str *form, struct buf *name, struct buf *value) ATTR_MUSTCHECK;

/**
 * form_get(form, name):
 * The value of the first field ${name}, decoded; NULL if there is none, or if
 * the form is malformed before it.
 *
 * Ownership: the caller frees with free().
 */
char *form_get(struct str form, const char *name);

#endif /* !BASE_FORM_H_ */
