#ifndef JSON_JWRITE_H_
#define JSON_JWRITE_H_

/*
 * Writing JSON: compact, valid by construction.  Commas are put in by the
 * writer; nesting is the caller's business and is checked by assertion.
 *
 * Floor: 1 (json).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct buf;
struct jval;

/* Embedded in its owner, on the stack as a rule. */
struct jwrite {
	struct buf *out;     /* Borrowed. */
	unsigned int indent; /* Spaces a level; 0 is compact. */
	unsigned int depth;
	int comma; /* The next value needs a comma before it. */
	int after_key;
};

/* Begin to append JSON to ${out}; ${indent} spaces a level, 0 for compact. */
struct jwrite jwrite_begin(struct buf *out, unsigned int indent);

void jwrite_object(struct jwrite *w);
void jwrite_object_end(struct jwrite *w);
void jwrite_array(struct jwrite *w);
void jwrite_array_end(struct jwrite *w);
void jwrite_key(struct jwrite *w, const char *key);
void jwrite_keyn(struct jwrite *w, struct str key);

/* Text: bytes that are not UTF-8 become U+FFFD.  NULL data is written null. */
void jwrite_str(struct jwrite *w, struct str s);
void jwrite_text(struct jwrite *w, const char *s);
void jwrite_int(struct jwrite *w, int64_t i);
void jwrite_uint(struct jwrite *w, uint64_t u);
/* The shortest text that reads back as ${d}; NaN and infinities are null.  A
 * whole number keeps ".0", so that it stays a float where that matters. */
void jwrite_real(struct jwrite *w, double d);
void jwrite_bool(struct jwrite *w, int b);
void jwrite_null(struct jwrite *w);

/* RFC 3339 text, or null for 0. */
void jwrite_time(struct jwrite *w, uint64_t unix_ms);

/* A value that is JSON text already. */
void jwrite_raw(struct jwrite *w, struct str json);

/* A parsed value with all that it holds. */
void jwrite_jval(struct jwrite *w, const struct jval *v);

/* Members in one call: key and value. */
void jwrite_member_text(struct jwrite *w, const char *key, const char *s);
void jwrite_member_int(struct jwrite *w, const char *key, int64_t i);

#endif /* !JSON_JWRITE_H_ */
