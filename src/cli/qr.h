#ifndef CLI_QR_H_
#define CLI_QR_H_

/*
 * A QR code on a terminal, in half blocks of UTF-8: two rows of it a line.
 *
 * Floor: 7 (cli).  May include everything.
 */

#include "base/compiler.h"

struct buf;

/**
 * qr_put(out, text, indent):
 * Append the code of ${text} with the quiet zone around it, each line behind
 * ${indent} blanks.  It is drawn light on dark and dark on light alike: the
 * colours are set.
 *
 * Returns:   0, or -1 if ${text} is too long for a code on a terminal; ${out}
 *            is as it was then.
 */
int qr_put(
    struct buf *out, const char *text, unsigned int indent) ATTR_MUSTCHECK;

#endif /* !CLI_QR_H_ */
