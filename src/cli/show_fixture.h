#ifndef CLI_SHOW_FIXTURE_H_
#define CLI_SHOW_FIXTURE_H_

/*
 * A delivery as a test of the handlers that got it.
 *
 * Floor: 7 (cli).  May include everything below.
 */

#include "base/buf.h"
#include "base/compiler.h"
#include "json/jdoc.h"

struct err;

/**
 * show_fixture(delivery, out, err):
 * Append the text of a NAME_test.lua to ${out}: one test for each script that
 * the delivery went to, which delivers the payload again and expects what went
 * out then.  ${delivery} is what the console shows, so what is secret in it is
 * redacted already.
 *
 * Errors:    ERR_INVALID      it has no payload: the body is damaged;
 *            ERR_TOO_LARGE    it is nested deeper than Lua reads.
 */
int show_fixture(const struct jval *delivery, struct buf *out,
    struct err *err) ATTR_MUSTCHECK;

#endif /* !CLI_SHOW_FIXTURE_H_ */
