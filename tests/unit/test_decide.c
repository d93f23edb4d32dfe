#include <criterion/criterion.h>

#include "dispatch/decide.h"

static const struct decide_retry defaults = {16, 1000, 3600000};

Test(decide, backoff_doubles_between_half_and_all)
{
	uint32_t r;
	uint64_t ms;

	for (r = 0; r < 5000; r += 7) {
		ms = decide_backoff(&defaults, 1, r);
		cr_assert(ms >= 500 && ms <= 1000);
		ms = decide_backoff(&defaults, 4, r);
		cr_assert(ms >= 4000 && ms <= 8000);
	}
	cr_assert_eq(decide_backoff(&defaults, 1, 0), 1000);
	cr_assert_eq(decide_backoff(&defaults, 1, 500), 500);
}

Test(decide, backoff_stops_at_the_maximum)
{
	cr_assert_eq(decide_backoff(&defaults, 13, 0), 3600000);
	cr_assert_eq(decide_backoff(&defaults, 4000000000U, 0), 3600000);
	cr_assert_geq(
	    decide_backoff(&defaults, 4000000000U, UINT32_MAX), 1800000);
}

Test(decide, sixteen_attempts_take_about_four_hours)
{
	uint64_t total = 0;
	unsigned int i;

	for (i = 1; i < defaults.attempts; i++)
		total += decide_backoff(&defaults, i, 0);
	cr_assert(total > 4 * 3600000ULL && total < 5 * 3600000ULL);
}

Test(decide, backoff_of_nothing_is_nothing)
{
	const struct decide_retry zero = {3, 0, 0};

	cr_assert_eq(decide_backoff(&zero, 5, 12345), 0);
}

Test(decide, every_result_has_its_state)
{
	uint64_t wait = 0;

	cr_assert_eq(
	    decide_after(&defaults, 1, PROTO_DONE, 0, 0, &wait), STORE_DONE);
	cr_assert_eq(decide_after(&defaults, 16, PROTO_DROPPED, 0, 0, &wait),
	    STORE_DROPPED);
	cr_assert_eq(wait, 0);
	cr_assert_eq(
	    decide_after(&defaults, 2, PROTO_ERROR, UINT64_MAX, 0, &wait),
	    STORE_RETRYING);
	cr_assert_eq(wait, 2000);
	cr_assert_eq(
	    decide_after(&defaults, 16, PROTO_ERROR, UINT64_MAX, 0, &wait),
	    STORE_DEAD);
	cr_assert_eq(
	    decide_after(&defaults, 16, PROTO_RETRY, 5, 0, &wait), STORE_DEAD);
}

Test(decide, a_script_can_say_when_to_try_again)
{
	uint64_t wait = 0;

	cr_assert_eq(decide_after(&defaults, 3, PROTO_RETRY, 7, 0, &wait),
	    STORE_RETRYING);
	cr_assert_eq(wait, 7);
	cr_assert_eq(
	    decide_after(&defaults, 3, PROTO_RETRY, UINT64_MAX, 0, &wait),
	    STORE_RETRYING);
	cr_assert_eq(wait, 4000);
	(void)decide_after(&defaults, 3, PROTO_RETRY, UINT64_MAX - 1, 0, &wait);
	cr_assert_eq(wait, DECIDE_AFTER_MAX_MS);
}

Test(decide, a_failing_script_gets_one_probe)
{
	cr_assert_eq(decide_slots(32, 0, 0), 32);
	cr_assert_eq(decide_slots(32, 30, 19), 2);
	cr_assert_eq(decide_slots(32, 33, 0), 0);
	cr_assert_eq(decide_slots(32, 0, 20), 1);
	cr_assert_eq(decide_slots(32, 1, 20), 0);
	cr_assert_eq(decide_slots(32, 31, 21), 0);
}

Test(decide, places_where_there_is_least)
{
	const unsigned int loads[] = {3, 1, 2, 1};

	cr_assert_eq(decide_place(loads, 4), 1);
	cr_assert_eq(decide_place(loads, 1), 0);
}

Test(decide, a_worker_is_stuck_when_it_burns_its_time)
{
	cr_assert_not(decide_stuck(3000, 3000, 1000));
	cr_assert(decide_stuck(3001, 3000, 1000));
	cr_assert_not(decide_stuck(3001, 200, 1000));
	cr_assert_not(decide_stuck(30000, 200, 1000));
	cr_assert(decide_stuck(30001, 0, 1000));
}
