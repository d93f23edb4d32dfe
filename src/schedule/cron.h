#ifndef SCHEDULE_CRON_H_
#define SCHEDULE_CRON_H_

/*
 * Cron expressions: five fields (minute, hour, day of the month, month, day of
 * the week) of numbers, ranges, steps and lists; names of months and weekdays;
 * L for the last day of the month; @hourly, @daily, @midnight, @weekly,
 * @monthly, @yearly, @annually.  For users: lua/meta/schedule.d.lua
 *
 * Floor: 1 (schedule).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

struct err;
struct zone;

/* What never comes in so many years never does. */
#define CRON_MAX_YEARS 13

struct cron {
	uint64_t minutes; /* Bit n: minute n. */
	uint32_t hours;
	uint32_t days;     /* Bit 1 to 31. */
	uint32_t months;   /* Bit 1 to 12. */
	uint32_t weekdays; /* Bit 0 to 6; 0 is Sunday. */
	int last_day;      /* L: the last day of the month too. */
	int any_day;       /* That field begins with '*'. */
	int any_weekday;
	int any_hour;
};

/**
 * cron_parse(text, ret_cron, err):
 * Read an expression.
 *
 * Errors:    ERR_INVALID      the message has the column (from 1) and what is
 *                             wrong there, or the date that never comes.
 */
int cron_parse(
    struct str text, struct cron *ret_cron, struct err *err) ATTR_MUSTCHECK;

/* Whether a date is one of its days. */
int cron_has_day(const struct cron *cron, int64_t days_since_1970);

/**
 * cron_next(cron, zone, after_unix_s):
 * The first due time after ${after_unix_s}, by the clocks of ${zone}.
 *
 * Where the clocks are put forward, times that are left out are due once, at
 * the first instant after the gap; where they are put back, times that come
 * twice are due the first time.  Both only if the hour is told: an hour field
 * that begins with '*' goes by what passes, so that every five minutes stays
 * every five minutes.
 *
 * Returns:   the instant; or -1 if none comes within CRON_MAX_YEARS.
 */
int64_t cron_next(
    const struct cron *cron, const struct zone *zone, int64_t after_unix_s);

#endif /* !SCHEDULE_CRON_H_ */
