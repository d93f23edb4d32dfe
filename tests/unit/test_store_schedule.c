#include "unit/store_util.h"

TestSuite(store_schedule, .init = util_setup, .fini = util_teardown);

/* Tell of up to two schedules of a script; returns when the first was due. */
static int64_t
tell(const char *script, const char *name, const char *rule, const char *other,
    int64_t now_s)
{
	struct store_schedule list[] = {{name, rule, 0}, {other, "x", 0}};
	struct store_schedules op = {.integration = "default",
	    .script = script,
	    .now_unix_s = now_s,
	    .schedules = list,
	    .nschedules = name == NULL    ? 0
			  : other == NULL ? 1
					  : 2};

	cr_assert_eq(
	    util_do(&op.op, STORE_OP_SCHEDULES), 0, "%s", op.op.err.msg);
	return list[0].ret_last_unix_s;
}

static int busy; /* Of the last due(). */

/* Append what is due; returns whether it was the first to. */
static int
due(const char *script, const char *name, int64_t due_s, const char *key)
{
	struct util_delivery d;

	util_delivery(&d, script, "{}");
	d.op.schedule = name;
	d.op.schedule_script = script;
	d.op.due_unix_s = due_s;
	d.op.dedupe_key = str_of(key);
	(void)util_append(&d);
	cr_expect_eq(d.op.ret_id != 0, !d.op.ret_duplicate);
	busy = d.op.ret_busy;
	if (!busy)
		cr_expect_geq(d.op.ret_last_unix_s, due_s);
	return !d.op.ret_duplicate;
}

/* Claim the jobs of a script, and have them end. */
static void
end_all(const char *script, enum store_state state)
{
	struct store_claim c;
	size_t i;

	util_claim(&c, script, 100);
	for (i = 0; i < c.ret_njobs; i++)
		cr_assert_eq(util_finish(c.ret_jobs[i]->id, state,
				 clock_unix_ms() + HOUR_MS),
		    0);
	store_claim_clear(&c);
}

Test(store_schedule, one_that_waits_or_runs_holds_up_the_next)
{
	struct store_claim c;

	util_open();
	cr_assert(due("a", "n", 1000, ""));
	cr_assert_not(due("a", "n", 1060, ""), "it waits");
	cr_assert(busy);
	util_claim(&c, "a", 100);
	cr_assert_not(due("a", "n", 1060, ""), "it runs");
	cr_assert(busy);
	cr_assert_eq(util_finish(c.ret_jobs[0]->id, STORE_DONE, 0), 0);
	store_claim_clear(&c);
	cr_assert(due("a", "n", 1120, ""));
	/* One that failed does not. */
	end_all("a", STORE_RETRYING);
	cr_assert(due("a", "n", 1180, ""));
	cr_assert_not(busy);
}

Test(store_schedule, a_due_time_belongs_to_the_first)
{
	util_open();
	cr_assert_eq(tell("a", "nightly", "r", NULL, 1000), 1000);
	cr_assert(due("a", "nightly", 1060, ""));
	end_all("a", STORE_DONE);
	cr_assert_not(due("a", "nightly", 1060, ""));
	cr_assert_not(due("a", "nightly", 1030, ""), "back in time");
	cr_assert(due("a", "nightly", 1120, ""));
	/* Another schedule, another script. */
	cr_assert(due("a", "hourly", 1060, ""));
	cr_assert(due("b", "nightly", 1060, ""));
	cr_assert_eq(util_claimable("a"), 2);
	cr_assert_eq(util_claimable("b"), 1);

	/* Nor is a restart a way to have it again. */
	util_close();
	util_open();
	cr_assert_not(due("a", "nightly", 1120, ""));
	cr_assert_eq(tell("a", "nightly", "r", NULL, 5000), 1120);
}

Test(store_schedule, another_rule_begins_now_but_never_goes_back)
{
	util_open();
	cr_assert_eq(tell("a", "n", "r", NULL, 1000), 1000);
	cr_assert(due("a", "n", 3000, ""));
	cr_assert_eq(tell("a", "n", "r", NULL, 9000), 3000);
	cr_assert_eq(tell("a", "n", "s", NULL, 2000), 3000);
	cr_assert_eq(tell("a", "n", "t", NULL, 9000), 9000);
	cr_assert_eq(tell("a", "n", "t", NULL, 9999), 9000);
	cr_assert_not(due("a", "n", 9000, ""));
}

Test(store_schedule, what_a_script_has_no_more_is_forgotten)
{
	util_open();
	cr_assert_eq(tell("a", "n", "r", "m", 1000), 1000);
	cr_assert_eq(tell("b", "n", "r", NULL, 1000), 1000);
	cr_assert_eq(tell("a", "m", "x", NULL, 2000), 1000);
	cr_assert_eq(tell("a", "n", "r", NULL, 3000), 3000);
	(void)tell("a", NULL, NULL, NULL, 4000);
	cr_assert_eq(tell("a", "n", "r", NULL, 5000), 5000);
	cr_assert_eq(tell("b", "n", "r", NULL, 5000), 1000);
}

Test(store_schedule, the_dedupe_key_holds_though_the_schedule_was_forgotten)
{
	util_open();
	cr_assert(due("a", "n", 1000, "a/n/1000"));
	(void)tell("a", NULL, NULL, NULL, 900);
	cr_assert_eq(tell("a", "n", "r", NULL, 900), 900);
	{
		struct util_delivery d;

		util_delivery(&d, "a", "{}");
		d.op.schedule = "n";
		d.op.schedule_script = "a";
		d.op.due_unix_s = 1000;
		d.op.dedupe_key = STR("a/n/1000");
		(void)util_append(&d);
		cr_assert(d.op.ret_duplicate);
	}
	cr_assert_eq(util_claimable("a"), 1);
}
