#ifndef APP_REQUARANTINE_H_
#define APP_REQUARANTINE_H_

/*
 * A second look at the quarantine: when the documents are others than at the
 * last look, deliveries that they accept now get their jobs, or become
 * unhandled.  It is done in small steps beside everything else.
 *
 * Floor: 6 (app).  May include everything below.
 */

#include "base/compiler.h"

struct catalog;
struct loop;
struct requarantine;
struct routes;
struct store;

struct requarantine_options {
	struct loop *loop;
	struct store *store;
	const struct catalog *catalog;
	const char
	    *data_dir; /* Where it is noted which documents were asked. */

	/* Who handles what now; borrowed, NULL: nobody anything. */
	struct routes *(*routes)(void *cookie);
	void *cookie;
};

/**
 * requarantine_start(options):
 * Begin if there is anything new to ask.
 *
 * Ownership: keeps what the options point to; the caller frees with
 *            requarantine_free(), after the store and when the loop's mailbox
 *            was emptied.
 * Thread:    the loop's.
 */
struct requarantine *requarantine_start(
    const struct requarantine_options *options) ATTR_MUSTCHECK;

/* Begin nothing more: what is left is looked at after the next start. */
void requarantine_stop(struct requarantine *requarantine);
void requarantine_free(struct requarantine *requarantine);

#endif /* !APP_REQUARANTINE_H_ */
