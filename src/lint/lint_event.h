#ifndef LINT_LINT_EVENT_H_
#define LINT_LINT_EVENT_H_

/*
 * What handlers get: the event, and what the catalogue knows of its payload.
 *
 * Floor: 2 (lint).  May include base/, json/, catalog/.
 */

#include <stddef.h>

#include "base/str.h"

struct buf;
struct catalog;
struct lint_events;
struct shape;

/* A value that is known to some extent. */
struct lint_value {
	const struct shape *shape; /* NULL: nothing is known of it. */
	const char *path;          /* Within the event: "data.issue". */
	const char *whose;         /* Resources: "'issue'"; NULL: the event
				    * itself. */
	int sure;                  /* Every field of it is known. */
};

/**
 * lint_events_create(catalog):
 * Ownership: keeps ${catalog}; the caller frees with lint_events_free().
 * Thread:    one at a time.
 */
struct lint_events *lint_events_create(const struct catalog *catalog);
void lint_events_free(struct lint_events *events);

/* Stands for the functions that are scheduled, as if that was a handler. */
#define LINT_SCHEDULE "schedule:"

/* The event that a handler of that name gets; unknown if it is no handler. */
struct lint_value lint_event_of(struct lint_events *events, struct str handler);

/**
 * lint_event_field(events, value, name, message):
 * The field of a value.  If no payload has it, the result is unknown, and
 * ${message} says so.
 */
struct lint_value lint_event_field(struct lint_events *events,
    struct lint_value value, struct str name, struct buf *message);

/* The value is compared with ${text}: ${message} says if it never is that. */
void lint_event_compare(
    struct lint_value value, struct str text, struct buf *message);

/* The elements of a value. */
struct lint_value lint_event_items(
    struct lint_events *events, struct lint_value value);

/* The same for a method that is called. */
void lint_event_method(
    struct lint_value value, struct str name, struct buf *message);

/* What is one of two values. */
struct lint_value lint_event_either(
    struct lint_events *events, struct lint_value a, struct lint_value b);

/* The fields of every event, NULL at the end. */
extern const char *const lint_event_fields[];

#endif /* !LINT_LINT_EVENT_H_ */
