#ifndef SIM_MASK_H_
#define SIM_MASK_H_

/*
 * What the stand-in shows of the requests it saw: as JSON, with tokens, codes
 * and secrets replaced by "sha256:" and 8 digits of their hash, so that two of
 * them can be compared and none can be used.
 *
 * Floor: 5 (sim).  May include base/, json/, crypto/.
 */

#include "base/str.h"

struct buf;
struct jwrite;

/* "sha256:" and 8 digits. */
void mask_put(struct buf *out, struct str secret);

/* Whether a member, a field or a parameter of that name holds a secret. */
int mask_is_secret(struct str name);

/* Write a JSON text as a value; what is not JSON as a string. */
void mask_json(struct jwrite *w, struct str text);

/* Write a form, or a query, as an object of strings. */
void mask_form(struct jwrite *w, struct str form);

/* Write the member ${name} with the value of a header: of Authorization, the
 * scheme and a masked rest. */
void mask_header(struct jwrite *w, struct str name, struct str value);

#endif /* !SIM_MASK_H_ */
