#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "schedule/civil.h"
#include "schedule/zone.h"

#include "unit/scratch.h"

static struct zone *
zone_of(const char *name)
{
	struct err err = ERR_INIT;
	struct zone *zone;

	cr_assert_eq(zone_open(NULL, name, &zone, &err), 0, "%s", err.msg);
	return zone;
}

Test(zone, civil_dates_are_those_of_libc)
{
	struct tm tm;
	struct civil c;
	time_t t;
	int64_t day;

	for (day = -800000; day < 800000; day += 37) {
		t = (time_t)day * CIVIL_DAY_S;
		(void)gmtime_r(&t, &tm);
		c = civil_of(day);
		cr_assert_eq(c.year, tm.tm_year + 1900);
		cr_assert_eq(c.month, tm.tm_mon + 1);
		cr_assert_eq(c.day, tm.tm_mday);
		cr_assert_eq(civil_weekday(day), tm.tm_wday);
		cr_assert_eq(civil_days(c.year, c.month, c.day), day);
	}
	cr_assert_eq(civil_month_days(1900, 2), 28);
	cr_assert_eq(civil_month_days(2000, 2), 29);
}

Test(zone, offsets_are_those_of_libc)
{
	static const char *const names[] = {"Europe/Vienna", "America/New_York",
	    "Australia/Lord_Howe", "Africa/Casablanca", "America/Sao_Paulo",
	    "Europe/Dublin", "Asia/Tehran", "Pacific/Apia", "America/Nuuk",
	    "Antarctica/Troll", "EST5EDT", "Etc/GMT+5"};
	struct zone *zone;
	struct zone_span span;
	struct tm tm;
	size_t i;
	time_t t;

	for (i = 0; i < NELEMS(names); i++) {
		zone = zone_of(names[i]);
		cr_assert_eq(setenv("TZ", names[i], 1), 0);
		tzset();
		/* From 1950 to 2120, past the end of the tables. */
		for (t = -631152000; t < 4733510400; t += 86399 * 5) {
			(void)localtime_r(&t, &tm);
			span = zone_span_at(zone, t);
			cr_assert_eq(span.offset_s, tm.tm_gmtoff, "%s at %lld",
			    names[i], (long long)t);
			cr_assert(
			    span.start_unix_s <= t && t < span.end_unix_s);
		}
		zone_free(zone);
	}
}

Test(zone, spans_follow_each_other)
{
	static const char *const names[] = {
	    "Europe/Vienna", "Australia/Sydney", "Africa/Casablanca", "UTC"};
	struct zone_span span, next;
	struct zone *zone;
	size_t i;

	for (i = 0; i < NELEMS(names); i++) {
		zone = zone_of(names[i]);
		span = zone_span_at(zone, 0);
		while (span.end_unix_s < 4733510400) {
			next = zone_span_at(zone, span.end_unix_s);
			cr_assert_eq(
			    next.start_unix_s, span.end_unix_s, "%s", names[i]);
			cr_assert_eq(next.offset_before_s, span.offset_s);
			cr_assert_eq(zone_span_at(zone, span.end_unix_s - 1)
					 .start_unix_s,
			    span.start_unix_s);
			span = next;
		}
		zone_free(zone);
	}
}

static void
assert_error(
    const char *dir, const char *name, enum err_code code, const char *message)
{
	struct err err = ERR_INIT;
	struct zone *zone;

	cr_expect_eq(zone_open(dir, name, &zone, &err), -1, "%s", name);
	cr_expect_eq(err.code, code, "%s: %s", name, err.msg);
	cr_expect(strstr(err.msg, message) != NULL, "%s: %s", name, err.msg);
}

Test(zone, says_why_there_is_none)
{
	assert_error(NULL, "Europe/Viena", ERR_NOT_FOUND,
	    "there is no time zone 'Europe/Viena', did you mean "
	    "'Europe/Vienna'?");
	assert_error(NULL, "Middle/Earth", ERR_NOT_FOUND,
	    "there is no time zone 'Middle/Earth': names are like");
	assert_error(NULL, "Europe", ERR_NOT_FOUND, "no time zone 'Europe'");
	assert_error(NULL, "Europe/", ERR_NOT_FOUND, "no time zone 'Europe/'");
	assert_error(NULL, "", ERR_INVALID, "'' is no name of a time zone");
	assert_error(NULL, "../../../etc/passwd", ERR_INVALID, "is no name");
	assert_error(NULL, "/etc/passwd", ERR_INVALID, "is no name");
	assert_error(NULL, "right/UTC", ERR_INVALID, "is no name");
	assert_error("/nowhere", "Europe/Vienna", ERR_NOT_FOUND,
	    "there are no time zones in /nowhere: install tzdata");
}

Test(zone, refuses_a_file_that_is_damaged)
{
	struct buf bytes = BUF_INIT, copy = BUF_INIT;
	struct err err = ERR_INIT;
	struct zone *zone;
	struct scratch s;
	size_t i;

	cr_assert_eq(
	    file_read(ZONE_DIR "/Europe/Vienna", 1 << 20, &bytes, &err), 0);
	/* Cut off anywhere, and with any byte turned around: never a crash. */
	for (i = 0; i < bytes.len; i++) {
		if (zone_parse(bytes.data, i, &zone, NULL) == 0) {
			cr_expect_fail("%zu bytes are enough", i);
			zone_free(zone);
		}
		buf_reset(&copy);
		buf_put(&copy, bytes.data, bytes.len);
		copy.data[i] = (char)~copy.data[i];
		if (zone_parse(copy.data, copy.len, &zone, NULL) == 0) {
			(void)zone_span_at(zone, 1800000000);
			(void)zone_span_at(zone, INT32_MIN);
			zone_free(zone);
		}
	}
	scratch_make(&s);
	scratch_mkdir(&s, "Area");
	scratch_write(&s, "Area/Bad", "TZif but not really");
	assert_error(s.dir, "Area/Bad", ERR_INVALID, "is no time zone file");
	scratch_clear(&s);
	buf_free(&copy);
	buf_free(&bytes);
}
