#ifndef WIRE_WATCH_H_
#define WIRE_WATCH_H_

/*
 * Notices that a folder of scripts has changed: by inotify on the folder and
 * its lib/, whatever way an editor saves (writing in place, renaming over,
 * swapping a link), and by looking once a second where that cannot see it (no
 * inotify, links that lead out of the folder).
 *
 * A change is told when it has settled: a file that is being written is waited
 * for, and one that vanished gets a moment to come back, as some editors move
 * the old file away first.
 *
 * Floor: 3 (wire).  May include base/, net/.
 */

#include "base/compiler.h"

struct err;
struct event_base;
struct source;
struct watch;

/**
 * The folder has a new content.
 *
 * Ownership: ${source} is borrowed; take a reference to keep it.
 */
typedef void watch_changed_cb(void *cookie, struct source *source);

/**
 * The folder cannot be read (${why}), or can be again (NULL).  Once each; what
 * was told before holds meanwhile.
 */
typedef void watch_trouble_cb(void *cookie, const char *why);

struct watch_options {
	struct event_base *base;
	const char *dir;
	watch_changed_cb *changed;
	watch_trouble_cb *trouble; /* May be NULL. */
	void *cookie;
	int polling; /* Do without inotify. */
};

/**
 * watch_start(options, ret_watch, err):
 * Read the folder, tell ${changed} before this returns, and again after every
 * change.
 *
 * Errors:    those of source_scan(); then nothing is watched.
 * Ownership: keeps options->base and the cookie; the caller frees with
 *            watch_stop().
 * Thread:    that of the event base; reads files.
 */
int watch_start(const struct watch_options *options, struct watch **ret_watch,
    struct err *err) ATTR_MUSTCHECK;

/**
 * watch_look(watch):
 * Read the folder now, without waiting for it to settle, and tell ${changed}
 * before this returns if it is another.
 *
 * Thread:    that of the event base; reads files.
 */
void watch_look(struct watch *watch);

/* Watch no more.  Not from within a callback.  watch_stop(NULL) is allowed. */
void watch_stop(struct watch *watch);

#endif /* !WIRE_WATCH_H_ */
