#ifndef CATALOG_YAMLJSON_H_
#define CATALOG_YAMLJSON_H_

/*
 * YAML, as people write AsyncAPI documents in it, turned into JSON text.
 *
 * Plain scalars are read by the core schema of YAML 1.2 (so `no` and a date are
 * text, `0x1F` and `1e3` are numbers), quoted ones are always text.  Aliases
 * and merge keys (`<<`) are expanded, within limits.
 *
 * Floor: 2 (catalog).  May include base/.
 */

#include <stddef.h>

#include "base/compiler.h"

struct buf;
struct err;

/* Nesting that is accepted, with aliases expanded. */
#define YAMLJSON_MAX_DEPTH 100

/* Bytes of JSON that a document may become. */
#define YAMLJSON_MAX_OUTPUT (16U << 20)

/**
 * yamljson_convert(text, len, out, err):
 * Append to ${out} the JSON of the one YAML document in ${text}.
 *
 * Returns:   0, or -1 and ${out} is as it was.
 * Errors:    ERR_INVALID      not YAML, or YAML that JSON cannot say: several
 *                             documents or none, a key twice, a key that is no
 *                             scalar, infinities, tags of other schemas;
 *            ERR_TOO_LARGE    nested too deep, or too much once its aliases
 *                             are expanded.
 *                             The message begins with the line.
 * Thread:    any.
 */
int yamljson_convert(const char *text, size_t len, struct buf *out,
    struct err *err) ATTR_MUSTCHECK;

#endif /* !CATALOG_YAMLJSON_H_ */
