#include <criterion/criterion.h>
#include <event2/event.h>

#include "base/clock.h"
#include "script/timer.h"

#define WAIT_MS 7
#define TIMERS 200

TestSuite(timer, .timeout = 60);

typedef int starter(struct timer *timer, struct event_base *base,
    struct vclock *clock, uint64_t ms, timer_cb *cb, void *cookie);

static struct event_base *base;
static starter *start;
static struct timer timer;
static uint64_t started_ns;
static int left, early;

static void
begin(void *cookie)
{
	cr_assert_not(timer_is_set(&timer));
	if (cookie != NULL &&
	    clock_mono_ns() - started_ns < WAIT_MS * UINT64_C(1000000))
		early++;
	if (left-- == 0) {
		(void)event_base_loopbreak(base);
		return;
	}
	started_ns = clock_mono_ns();
	cr_assert_eq(start(&timer, base, NULL, WAIT_MS, begin, &left), 0);
}

/* Whatever wakes the loop has it look at its clock, which is a coarse one. */
static void
on_tick(evutil_socket_t fd, short what, void *cookie)
{
	(void)fd;
	(void)what;
	(void)cookie;
}

static void
expect_none_early(starter *how)
{
	const struct timeval often = {0, 300};
	struct event *tick;

	start = how;
	left = TIMERS;
	base = event_base_new();
	cr_assert_not_null(base);
	tick = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	cr_assert_eq(event_add(tick, &often), 0);
	begin(NULL);
	(void)event_base_dispatch(base);
	cr_assert_eq(early, 0, "%d of %d", early, TIMERS);
	event_free(tick);
	event_base_free(base);
}

Test(timer, never_comes_early)
{
	expect_none_early(timer_start);
}

Test(timer, never_comes_early_among_many_of_its_length)
{
	expect_none_early(timer_start_common);
}
