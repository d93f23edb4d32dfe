#ifndef SCHEDULE_PLAN_H_
#define SCHEDULE_PLAN_H_

/*
 * What a script has declared with schedule.every() or schedule.cron(), and when
 * it is due.
 *
 * Floor: 1 (schedule).  May include base/, json/.
 */

#include <stdint.h>

#include "base/compiler.h"
#include "schedule/cron.h"

struct err;
struct jval;
struct zone;

/* Bytes of a schedule's name. */
#define PLAN_NAME_MAX 100

/* The shortest and the longest interval. */
#define PLAN_EVERY_MIN_S 1
#define PLAN_EVERY_MAX_S 31622400

/* What was due longer ago than that was missed. */
#define PLAN_GRACE_S 60

/* So many missed ones are counted; more are told as that. */
#define PLAN_MISSED_MAX 1000

/* The kind of its declarations, and how their jobs' handlers begin. */
#define PLAN_KIND "schedules"
#define PLAN_HANDLER "schedule:"
#define PLAN_RESOURCE "schedule"

struct plan {
	char *name;
	char *rule; /* What it was made from, as text: another one is another
		     * plan. */
	char *at;   /* "scripts/x.lua:3" */
	int64_t every_s; /* 0: by cron. */
	struct cron cron;
	struct zone *zone;
	int skip_missed; /* catch_up = "none" */
};

/* All that a script has declared. */
struct plans {
	struct plan *list;
	size_t n;
};

/**
 * plans_read(declared, zone_dir, ret_plans, err):
 * Read the declarations of a script (proto_loaded.declared; NULL: none).
 *
 * Errors:    ERR_INVALID      one is bad (a zone that is not there):
 * "file:line: why". Ownership: the caller frees with plans_clear(). Thread:
 * any; reads files of tzdata (in ${zone_dir}; NULL: the system's).
 */
int plans_read(const char *declared, const char *zone_dir,
    struct plans *ret_plans, struct err *err) ATTR_MUSTCHECK;
void plans_clear(struct plans *plans);

/* The first due time after ${last_s}; -1: none will come. */
int64_t plan_next(const struct plan *plan, int64_t last_unix_s);

/* What is due. */
struct plan_due {
	int64_t due_unix_s;
	int64_t missed; /* Others that were due before it, and did not run. */
	int skip;       /* It was missed too, and nobody wants it now. */
};

/**
 * plan_look(plan, last_unix_s, now_unix_s, ret_due):
 * Whether anything is due: ${last_unix_s} was the last.  Of several the latest
 * is told.
 *
 * Returns:   1, or 0 if nothing is.
 */
int plan_look(const struct plan *plan, int64_t last_unix_s, int64_t now_unix_s,
    struct plan_due *ret_due);

#endif /* !SCHEDULE_PLAN_H_ */
