#ifndef JSON_JPATH_H_
#define JSON_JPATH_H_

/*
 * JSON Pointer (RFC 6901), and the dotted paths of command lines
 * (`data.issue.level`).
 *
 * Floor: 1 (json).  May include base/.
 */

#include "base/compiler.h"
#include "base/str.h"

struct buf;
struct err;
struct jval;

/**
 * jpath_get(root, pointer, err):
 * The value that the JSON Pointer ${pointer} names below ${root}; "" is
 * ${root}.
 *
 * Returns:   NULL if there is none.
 * Errors:    ERR_INVALID      not a pointer: no slash at its start, "~" without
 *                             0 or 1;
 *            ERR_NOT_FOUND    a part is missing; the message says which.
 */
const struct jval *jpath_get(
    const struct jval *root, struct str pointer, struct err *err);

/* Append "/" and ${key}, escaped. */
void jpath_put_key(struct buf *pointer, struct str key);
void jpath_put_index(struct buf *pointer, size_t index);

/**
 * jpath_set(root, dotted, json, out, err):
 * Append to ${out} the document ${root} with the value at the dotted path
 * replaced by the JSON text ${json}; objects that are missing on the way are
 * made, a number in the path is an index where an array stands (its length
 * itself appends).
 *
 * Errors:    ERR_INVALID      the path is empty, leads through a value that is
 *                             no container, or an index is out of range.
 */
int jpath_set(const struct jval *root, struct str dotted, struct str json,
    struct buf *out, struct err *err) ATTR_MUSTCHECK;

#endif /* !JSON_JPATH_H_ */
