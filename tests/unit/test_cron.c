#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/err.h"
#include "schedule/civil.h"
#include "schedule/cron.h"
#include "schedule/zone.h"

static struct cron
cron_of(const char *text)
{
	struct err err = ERR_INIT;
	struct cron cron;

	cr_assert_eq(
	    cron_parse(str_of(text), &cron, &err), 0, "%s: %s", text, err.msg);
	return cron;
}

static struct zone *
zone_of(const char *name)
{
	struct err err = ERR_INIT;
	struct zone *zone;

	cr_assert_eq(zone_open(NULL, name, &zone, &err), 0, "%s", err.msg);
	return zone;
}

static int64_t
at(const char *rfc3339)
{
	uint64_t ms;

	cr_assert_eq(clock_parse_rfc3339(rfc3339, strlen(rfc3339), &ms), 0,
	    "%s", rfc3339);
	return (int64_t)(ms / 1000);
}

/* The times after ${from} are those of ${list}, with spaces between. */
static void
assert_times(
    const char *text, const char *zone_name, const char *from, const char *list)
{
	struct cron cron = cron_of(text);
	struct zone *zone = zone_of(zone_name);
	int64_t t = at(from);
	char want[40], got[CLOCK_RFC3339_SIZE];
	int n;

	while (sscanf(list, "%39s%n", want, &n) == 1) {
		list += n;
		t = cron_next(&cron, zone, t);
		cr_assert_neq(t, -1, "%s: no %s", text, want);
		cr_expect_eq(t, at(want), "%s in %s: %s, not %s", text,
		    zone_name, clock_rfc3339((uint64_t)t * 1000, got), want);
	}
	zone_free(zone);
}

Test(cron, reads_numbers_ranges_steps_lists_and_names)
{
	struct cron c = cron_of(" 0,30-32,*/20\t9-17/4 1,L jan,MAR-apr Mon-5 ");

	cr_assert_eq(c.minutes, 1ULL | 7ULL << 30 | 1ULL << 20 | 1ULL << 40);
	cr_assert_eq(c.hours, 1U << 9 | 1U << 13 | 1U << 17);
	cr_assert_eq(c.days, 1U << 1);
	cr_assert_eq(c.last_day, 1);
	cr_assert_eq(c.months, 1U << 1 | 1U << 3 | 1U << 4);
	cr_assert_eq(c.weekdays, 0x3eU);
	cr_assert_eq(c.any_day + c.any_weekday + c.any_hour, 0);
	cr_assert_eq(cron_of("* * * * 0").weekdays, 1);
	cr_assert_eq(cron_of("* * * * 7").weekdays, 1);
	cr_assert_eq(cron_of("* * * * fri-sun").weekdays, 0x61U);
	cr_assert_eq(cron_of("* * * * *").weekdays, 0x7fU);
	cr_assert_eq(cron_of("@Daily").hours, 1);
	cr_assert_eq(cron_of("0 0 29 2 *").days, 1U << 29);
	cr_assert_eq(cron_of("0 0 L 2 *").last_day, 1);
}

Test(cron, says_in_which_column_something_is_wrong)
{
	static const struct {
		const char *text;
		const char *message;
	} bad[] = {
	    {"", "column 1: the field for the minute is missing"},
	    {"* * * *",
		"column 8: the field for the day of the week is missing"},
	    {"* * * * * *", "column 11: there is more than the five fields"},
	    {"60 * * * *", "column 1: 60 is no minute: it is 0 to 59"},
	    {"0 24 * * *", "column 3: 24 is no hour: it is 0 to 23"},
	    {"0 0 0 * *", "column 5: 0 is no day of the month: it is 1 to 31"},
	    {"0 0 1 13 *", "column 7: 13 is no month: it is 1 to 12"},
	    {"0 0 1 1 8", "column 9: 8 is no day of the week: it is 0 to 7"},
	    {"0 0 1 jum *",
		"column 7: 'jum' is no month: names are jan to dec"},
	    {"0 0 1 * mo", "column 9: 'mo' is no day of the week"},
	    {"5/10 * * * *", "column 2: a step needs a range: write 5-59/"},
	    {"*/0 * * * *", "column 3: a step of 0"},
	    {"*/99999999999 * * * *", "column 3: a step of 99999999999"},
	    {"99999999999999999999 * * * *", "column 1: 99999999999999999999"},
	    {"0 22-2 * * *", "column 3: the range 22-2 goes backwards"},
	    {"1, * * * *", "column 3: a number is missing in the field for the "
			   "minute"},
	    {"1- * * * *", "column 3: a number is missing"},
	    {"*/ * * * *", "column 3: a number is missing"},
	    {"1;2 * * * *", "column 2: ';' is not a comma or a space"},
	    {"x * * * *", "column 1: 'x' is not a number"},
	    {"0 0 LW * *", "column 5: 'L' is not a number"},
	    {"0 0 * * 5L", "column 10: 'L' is not a comma or a space"},
	    {"0 0 30 2 *", "its date never comes"},
	    {"0 0 31 4,6,9,11 *", "its date never comes"},
	    {"@reboot", "column 1: '@reboot' is unknown: there are @hourly"},
	    {"\xff * * * *", "column 1: '?' is not a number"},
	};
	struct err err = ERR_INIT;
	struct cron cron;
	size_t i;

	for (i = 0; i < NELEMS(bad); i++) {
		err = (struct err)ERR_INIT;
		cr_expect_eq(cron_parse(str_of(bad[i].text), &cron, &err), -1,
		    "%s", bad[i].text);
		cr_expect_eq(err.code, ERR_INVALID);
		cr_expect(strstr(err.msg, bad[i].message) != NULL,
		    "'%s': %s, not %s", bad[i].text, err.msg, bad[i].message);
	}
}

Test(cron, finds_the_next_times)
{
	assert_times("0 9 * * 1-5", "UTC", "2026-11-27T09:00:00Z",
	    "2026-11-30T09:00:00Z 2026-12-01T09:00:00Z");
	assert_times("*/15 * * * *", "UTC", "2026-11-29T23:44:59Z",
	    "2026-11-29T23:45:00Z 2026-11-30T00:00:00Z 2026-11-30T00:15:00Z");
	assert_times("0 0 L * *", "UTC", "2027-12-31T00:00:00Z",
	    "2028-01-31T00:00:00Z 2028-02-29T00:00:00Z 2028-03-31T00:00:00Z "
	    "2028-04-30T00:00:00Z");
	assert_times("30 12 29 2 *", "UTC", "2028-02-29T12:30:00Z",
	    "2032-02-29T12:30:00Z");
	/* Around 2100, which is no leap year. */
	assert_times("0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z",
	    "2104-02-29T00:00:00Z");
	/* Where both days are told, one is enough; not with a star. */
	assert_times("0 0 13 * fri", "UTC", "2026-11-09T00:00:00Z",
	    "2026-11-13T00:00:00Z 2026-11-20T00:00:00Z 2026-11-27T00:00:00Z "
	    "2026-12-04T00:00:00Z 2026-12-11T00:00:00Z 2026-12-13T00:00:00Z");
	assert_times("0 0 */10 * sun", "UTC", "2026-11-01T00:00:00Z",
	    "2027-01-31T00:00:00Z");
	assert_times(
	    "@yearly", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
	assert_times("0 9 * * *", "Asia/Kolkata", "2026-11-29T00:00:00Z",
	    "2026-11-29T03:30:00Z 2026-11-30T03:30:00Z");
}

Test(cron, runs_what_a_gap_leaves_out_right_after_it)
{
	/* Vienna, 29 March 2026: 02:00 is followed by 03:00, at 01:00 UTC. */
	assert_times("30 2 * * *", "Europe/Vienna", "2026-03-28T00:00:00Z",
	    "2026-03-28T01:30:00Z 2026-03-29T01:00:00Z 2026-03-30T00:30:00Z");
	/* Once, however many are left out. */
	assert_times("*/10 2 * * *", "Europe/Vienna", "2026-03-28T01:50:00Z",
	    "2026-03-29T01:00:00Z 2026-03-30T00:00:00Z");
	/* And once where 03:00 is due by itself. */
	assert_times("0 2,3 * * *", "Europe/Vienna", "2026-03-28T02:00:00Z",
	    "2026-03-29T01:00:00Z 2026-03-30T00:00:00Z 2026-03-30T01:00:00Z");
	/* Every so many minutes stays that. */
	assert_times("*/30 * * * *", "Europe/Vienna", "2026-03-29T00:00:00Z",
	    "2026-03-29T00:30:00Z 2026-03-29T01:00:00Z 2026-03-29T01:30:00Z");
	assert_times("15 * * * *", "Europe/Vienna", "2026-03-29T00:00:00Z",
	    "2026-03-29T00:15:00Z 2026-03-29T01:15:00Z");
	/* New York, 8 March 2026, at 07:00 UTC. */
	assert_times("30 2 * * *", "America/New_York", "2026-03-07T08:00:00Z",
	    "2026-03-08T07:00:00Z 2026-03-09T06:30:00Z");
	/* Half an hour: Lord Howe, 4 October 2026, at 15:30 UTC of the 3rd. */
	assert_times("15 2 * * *", "Australia/Lord_Howe",
	    "2026-10-03T00:00:00Z",
	    "2026-10-03T15:30:00Z 2026-10-04T15:15:00Z");
	/* A day: Samoa had no 30 December 2011. */
	assert_times("0 12 30 12 *", "Pacific/Apia", "2011-01-01T00:00:00Z",
	    "2011-12-30T10:00:00Z");
}

Test(cron, runs_what_comes_twice_once)
{
	/* Vienna, 25 October 2026: 03:00 is followed by 02:00, at 01:00 UTC. */
	assert_times("30 2 * * *", "Europe/Vienna", "2026-10-24T12:00:00Z",
	    "2026-10-25T00:30:00Z 2026-10-26T01:30:00Z");
	assert_times("*/20 2 * * *", "Europe/Vienna", "2026-10-24T12:00:00Z",
	    "2026-10-25T00:00:00Z 2026-10-25T00:20:00Z 2026-10-25T00:40:00Z "
	    "2026-10-26T01:00:00Z");
	assert_times("0 3 * * *", "Europe/Vienna", "2026-10-24T12:00:00Z",
	    "2026-10-25T02:00:00Z");
	/* Every half hour stays that. */
	assert_times("*/30 * * * *", "Europe/Vienna", "2026-10-25T00:00:00Z",
	    "2026-10-25T00:30:00Z 2026-10-25T01:00:00Z 2026-10-25T01:30:00Z "
	    "2026-10-25T02:00:00Z");
	assert_times("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z",
	    "2026-11-01T05:30:00Z 2026-11-02T06:30:00Z");
	/* The southern half of the world, and half an hour. */
	assert_times("45 1 * * *", "Australia/Lord_Howe",
	    "2026-04-04T00:00:00Z",
	    "2026-04-04T14:45:00Z 2026-04-05T15:15:00Z");
}

/* Whether a minute is due, by looking at the clock only. */
static int
matches(const struct cron *cron, int64_t local_s)
{
	int64_t day = civil_floor_div(local_s, CIVIL_DAY_S);
	int minute = (int)(local_s - day * CIVIL_DAY_S) / 60;

	return local_s % 60 == 0 && cron_has_day(cron, day) &&
	       (cron->hours >> (minute / 60) & 1) &&
	       (cron->minutes >> (minute % 60) & 1);
}

/* The same as cron_next(), minute by minute. */
static int64_t
slowly(const struct cron *cron, const struct zone *zone, int64_t after)
{
	int64_t t, local, before, l;

	for (t = civil_floor_div(after, 60) * 60 + 60;; t += 60) {
		local = t + zone_span_at(zone, t).offset_s;
		before = t - 60 + zone_span_at(zone, t - 60).offset_s;
		if (cron->any_hour) {
			if (matches(cron, local))
				return t;
			continue;
		}
		/* Every minute that the clock has jumped over. */
		for (l = before + 60; l < local; l += 60)
			if (matches(cron, l))
				return t;
		if (!matches(cron, local))
			continue;
		/* Was it shown before, in the two hours until now? */
		for (l = t - 7200; l < t; l += 60)
			if (l + zone_span_at(zone, l).offset_s == local)
				break;
		if (l == t)
			return t;
	}
}

Test(cron, agrees_with_a_slow_search_around_every_change)
{
	static const char *const zones[] = {"Europe/Vienna", "America/New_York",
	    "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata",
	    "America/Santiago", "Europe/Dublin"};
	static const char *const texts[] = {"* * * * *", "*/7 * * * *",
	    "30 2 * * *", "*/25 1-3 * * *", "0 0-5/2 * * *", "59 23 L * *",
	    "0 0 1 * sun", "15 */3 * * *", "0,30 0 * * *"};
	int64_t start, end, t, want;
	struct zone_span span;
	struct cron cron;
	struct zone *zone;
	size_t z, i, n, k;

	for (z = 0; z < NELEMS(zones); z++) {
		zone = zone_of(zones[z]);
		start = at("2026-01-01T00:00:00Z");
		for (k = 0; k < 6; k++) {
			span = zone_span_at(zone, start);
			end = span.end_unix_s == INT64_MAX ? start + 86400
							   : span.end_unix_s;
			for (i = 0; i < NELEMS(texts); i++) {
				cron = cron_of(texts[i]);
				t = end - 5 * 3600 - 17;
				for (n = 0; n < 12 && t < end + 20 * 3600;
				     n++) {
					want = slowly(&cron, zone, t);
					cr_assert_eq(cron_next(&cron, zone, t),
					    want, "%s in %s after %lld",
					    texts[i], zones[z], (long long)t);
					cr_assert_gt(want, t);
					t = want;
				}
			}
			start = end;
		}
		zone_free(zone);
	}
}

Test(cron, goes_forward_whatever_the_expression)
{
	uint64_t seed = 88172645463325252ULL;
	struct zone *zone = zone_of("Europe/Vienna");
	char text[100];
	struct cron cron;
	int64_t t, next;
	int i, n;

	for (i = 0; i < 300; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		(void)snprintf(text, sizeof(text), "%u-59/%u %s%u %s %u-12 %s",
		    (unsigned int)(seed % 60),
		    (unsigned int)(seed / 64 % 59 + 1),
		    seed & 1 << 20 ? "*/" : "",
		    (unsigned int)(seed / 4096 % 23 + 1),
		    seed & 1 << 21 ? "*" : "28",
		    (unsigned int)(seed / 7 % 12 + 1),
		    seed & 1 << 22 ? "*" : "mon");
		cron = cron_of(text);
		t = at("2026-03-20T00:00:00Z") + (int64_t)(seed % 20000000);
		for (n = 0; n < 20; n++, t = next) {
			next = cron_next(&cron, zone, t);
			cr_assert_gt(next, t, "%s", text);
			/* Nothing is left out between them. */
			cr_assert_eq(
			    cron_next(&cron, zone, next - 1), next, "%s", text);
			if (next - t < 7200)
				cr_assert_eq(
				    slowly(&cron, zone, t), next, "%s", text);
		}
	}
	zone_free(zone);
}
