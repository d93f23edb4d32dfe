#ifndef APP_FILL_H_
#define APP_FILL_H_

/*
 * Tells people in time that the store gets full: a warning at 50 and at 80 % of
 * its cap, an error when it takes nothing more.
 *
 * Floor: 6 (app).  May include everything below.
 */

#include "base/compiler.h"

struct fill;
struct loop;
struct store;

/**
 * fill_watch(loop, store):
 * Look once a second.  Each thing is said once, and again only after it had got
 * better.
 *
 * Ownership: keeps both; the caller frees with fill_free().
 * Thread:    the loop's.
 */
struct fill *fill_watch(struct loop *loop, struct store *store) ATTR_MUSTCHECK;
void fill_free(struct fill *fill);

#endif /* !APP_FILL_H_ */
