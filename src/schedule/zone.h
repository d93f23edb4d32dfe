#ifndef SCHEDULE_ZONE_H_
#define SCHEDULE_ZONE_H_

/*
 * A time zone, read from the system's tzdata (TZif, RFC 9636, with the rule in
 * its footer for the time after its last transition).  libc knows one zone a
 * process; this knows any.
 *
 * Floor: 1 (schedule).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct err;
struct zone;

#define ZONE_DIR "/usr/share/zoneinfo"
#define ZONE_NAME_MAX 64

/* A time during which the clocks are not changed. */
struct zone_span {
	int64_t start_unix_s;    /* INT64_MIN: it has always been so. */
	int64_t end_unix_s;      /* When the next begins; INT64_MAX: never. */
	int32_t offset_s;        /* East of UTC. */
	int32_t offset_before_s; /* Of the span before; the same if none. */
};

/**
 * zone_open(dir, name, ret_zone, err):
 * The zone ${name} ("Europe/Vienna"); ${dir} is the folder of tzdata, NULL the
 * system's.  "UTC" is there without tzdata.
 *
 * Errors:    ERR_NOT_FOUND    there is none of that name (a likely one is
 *                             proposed), or no tzdata at all;
 *            ERR_INVALID      not a zone's name, or its file is damaged;
 *            ERR_UNAVAILABLE  it cannot be read.
 * Ownership: the caller frees with zone_free().
 * Thread:    any; reads a file.
 */
int zone_open(const char *dir, const char *name, struct zone **ret_zone,
    struct err *err) ATTR_MUSTCHECK;

/**
 * zone_parse(bytes, len, ret_zone, err):
 * The same, of what is in a file.
 *
 * Errors:    ERR_INVALID      it is damaged.
 */
int zone_parse(const void *bytes, size_t len, struct zone **ret_zone,
    struct err *err) ATTR_MUSTCHECK;

/* zone_free(NULL) has no effect. */
void zone_free(struct zone *zone);

/* The span that the instant ${unix_s} is in. */
struct zone_span zone_span_at(const struct zone *zone, int64_t unix_s);

#endif /* !SCHEDULE_ZONE_H_ */
