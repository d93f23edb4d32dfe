#ifndef DISPATCH_AGENDA_H_
#define DISPATCH_AGENDA_H_

/*
 * The schedules of a script: looks when one is due, and makes a delivery of it,
 * whose job then goes the way of all others.  Which due time has run is the
 * store's to know.
 *
 * Floor: 5 (dispatch).  Private to its folder.
 */

#include <stddef.h>

struct agenda;
struct dispatch;
struct dispatch_schedule;
struct script;

/**
 * agenda_create(d, script):
 * An empty one.
 *
 * Ownership: keeps both; the caller frees with agenda_free(), once
 *            ${d}->nplanning is 0.
 * Thread:    that of the dispatcher's loop, as for everything here.
 */
struct agenda *agenda_create(struct dispatch *d, const struct script *script);
void agenda_free(struct agenda *agenda);

/* The script may have other schedules than before, or be gone. */
void agenda_sync(struct agenda *agenda);

/* The store works again, or time has passed: see what is due. */
void agenda_look(struct agenda *agenda);

/* A run of one has ended: it holds up the next no more. */
void agenda_ended(struct agenda *agenda);

/* What is in it, for a person; valid until the loop goes on. */
const struct dispatch_schedule *agenda_list(
    struct agenda *agenda, size_t *ret_n);

#endif /* !DISPATCH_AGENDA_H_ */
