#ifndef CONSOLE_EVENTS_H_
#define CONSOLE_EVENTS_H_

/*
 * Server-sent events: the newest ones are kept, so that who was away for a
 * moment misses nothing; who cannot keep up is cut off, and comes back.  While
 * nobody follows, and nobody has for some minutes, nothing is kept.
 *
 * A follower whose Last-Event-ID is not kept any more gets the event `reset`
 * first: it has missed some, and should read the lists again.
 *
 * Floor: 5 (console).  Private to its folder.
 */

#include "base/str.h"

struct events;
struct httpd_request;
struct loop;

struct events *events_create(struct loop *loop);

/* End every stream.  events_free(NULL) has no effect. */
void events_free(struct events *events);

/* Whether there is anybody to tell, or may come back.  Thread: any. */
int events_are_wanted(const struct events *events);

/* Tell everybody; ${data} is JSON on one line. */
void events_put(struct events *events, const char *name, struct str data);

/* Let a request follow: consumes ${req}. */
void events_follow(struct events *events, struct httpd_request *req);

#endif /* !CONSOLE_EVENTS_H_ */
