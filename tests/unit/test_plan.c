#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/err.h"
#include "schedule/plan.h"

static struct plans plans;

static void
read_plans(const char *json)
{
	struct err err = ERR_INIT;

	cr_assert_eq(plans_read(json, NULL, &plans, &err), 0, "%s", err.msg);
}

static void
clear(void)
{
	plans_clear(&plans);
}

TestSuite(plan, .fini = clear);

static int64_t
at(const char *rfc3339)
{
	uint64_t ms;

	cr_assert_eq(clock_parse_rfc3339(rfc3339, strlen(rfc3339), &ms), 0);
	return (int64_t)(ms / 1000);
}

static void
assert_due(
    size_t i, int64_t last, int64_t now, int64_t due, int64_t missed, int skip)
{
	struct plan_due got;

	cr_assert_eq(plan_look(&plans.list[i], last, now, &got), 1);
	cr_expect_eq(got.due_unix_s, due, "%lld", (long long)got.due_unix_s);
	cr_expect_eq(got.missed, missed, "%lld", (long long)got.missed);
	cr_expect_eq(got.skip, skip);
}

Test(plan, reads_what_a_script_declares)
{
	read_plans("{\"alert_action\":[{}],\"schedules\":["
		   "{\"name\":\"a\",\"at\":\"s/x.lua:1\",\"every\":300},"
		   "{\"name\":\"b\",\"at\":\"s/x.lua:2\",\"cron\":\"0 9 * * "
		   "1-5\",\"tz\":\"Europe/Vienna\",\"catch_up\":\"none\"}]}");
	cr_assert_eq(plans.n, 2);
	cr_assert_str_eq(plans.list[0].name, "a");
	cr_assert_str_eq(plans.list[0].rule, "every 300");
	cr_assert_eq(plans.list[0].skip_missed, 0);
	cr_assert_str_eq(plans.list[1].rule, "cron 0 9 * * 1-5 Europe/Vienna");
	cr_assert_eq(plans.list[1].skip_missed, 1);
	cr_assert_eq(plan_next(&plans.list[0], 1000), 1300);
	cr_assert_eq(plan_next(&plans.list[1], at("2026-11-27T08:00:00Z")),
	    at("2026-11-30T08:00:00Z"));
}

Test(plan, reads_nothing_where_nothing_is)
{
	read_plans(NULL);
	cr_assert_eq(plans.n, 0);
	read_plans("{\"alert_action\":[{}]}");
	cr_assert_eq(plans.n, 0);
}

Test(plan, says_where_a_bad_one_is)
{
	static const struct {
		const char *json;
		const char *message;
	} bad[] = {
	    {"{\"name\":\"a\",\"at\":\"s/x.lua:7\",\"cron\":\"0 9 * * *\","
	     "\"tz\":\"Europe/Wien\"}",
		"s/x.lua:7: there is no time zone 'Europe/Wien'"},
	    {"{\"name\":\"a\",\"at\":\"s/x.lua:7\",\"cron\":\"0 99 * * *\"}",
		"s/x.lua:7: column 3: 99 is no hour"},
	    {"{\"name\":\"a\",\"at\":\"s/x.lua:7\",\"every\":0}",
		"s/x.lua:7: a schedule without a rule"},
	    {"{\"every\":10}", "a schedule without a name"},
	};
	struct err err = ERR_INIT;
	char json[300];
	size_t i;

	for (i = 0; i < NELEMS(bad); i++) {
		(void)snprintf(
		    json, sizeof(json), "{\"schedules\":[%s]}", bad[i].json);
		cr_expect_eq(plans_read(json, NULL, &plans, &err), -1);
		cr_expect_eq(
		    strncmp(err.msg, bad[i].message, strlen(bad[i].message)), 0,
		    "%s", err.msg);
		cr_expect_eq(plans.n, 0);
	}
	cr_expect_eq(plans_read("{", NULL, &plans, &err), -1);
}

Test(plan, tells_the_latest_of_several_and_counts_the_others)
{
	struct plan_due due;

	read_plans("{\"schedules\":["
		   "{\"name\":\"a\",\"at\":\"x\",\"every\":300},"
		   "{\"name\":\"b\",\"at\":\"x\",\"cron\":\"*/10 * * * *\"},"
		   "{\"name\":\"c\",\"at\":\"x\",\"every\":300,"
		   "\"catch_up\":\"none\"}]}");
	cr_assert_eq(plan_look(&plans.list[0], 1000, 1299, &due), 0);
	assert_due(0, 1000, 1300, 1300, 0, 0);
	assert_due(0, 1000, 1000 + 4 * 300 + 17, 1000 + 4 * 300, 3, 0);
	assert_due(0, 1000, 1000 + 300 * 86400, 1000 + 300 * 86400,
	    PLAN_MISSED_MAX, 0);
	cr_assert_eq(plan_look(&plans.list[1], at("2026-11-29T10:00:00Z"),
			 at("2026-11-29T10:09:59Z"), &due),
	    0);
	assert_due(1, at("2026-11-29T10:00:00Z"), at("2026-11-29T10:35:00Z"),
	    at("2026-11-29T10:30:00Z"), 2, 0);
	/* Years are no trouble. */
	assert_due(1, at("2016-11-29T10:00:00Z"), at("2026-11-29T10:35:00Z"),
	    at("2026-11-29T10:30:00Z"), PLAN_MISSED_MAX, 0);
	/* What was missed is not wanted, what is just late is. */
	assert_due(2, 1000, 1300 + PLAN_GRACE_S, 1300, 0, 0);
	assert_due(2, 1000, 1301 + PLAN_GRACE_S, 1300, 0, 1);
	assert_due(2, 1000, 1610, 1600, 1, 0);
}
