#ifndef SCHEDULE_CIVIL_H_
#define SCHEDULE_CIVIL_H_

/*
 * The calendar: days since 1970-01-01 and the dates that they are (Gregorian,
 * also before there was one).
 *
 * Floor: 1 (schedule).  May include base/.
 */

#include <stdint.h>

#define CIVIL_DAY_S INT64_C(86400)

struct civil {
	int64_t year;
	int month; /* 1 to 12. */
	int day;   /* 1 to 31. */
};

/* The days from 1970-01-01 to that date. */
int64_t civil_days(int64_t year, int month, int day);

/* The date so many days after 1970-01-01. */
struct civil civil_of(int64_t days);

/* 0 is Sunday. */
int civil_weekday(int64_t days);

int civil_is_leap(int64_t year);

/* Days of a month. */
int civil_month_days(int64_t year, int month);

/* ${a} / ${b} rounded down, also below 0; ${b} is above. */
int64_t civil_floor_div(int64_t a, int64_t b);

#endif /* !SCHEDULE_CIVIL_H_ */
