#include <stddef.h>

#include <event2/event.h>

#include "base/clock.h"
#include "net/loop.h"

#include "script/timer.h"
#include "script/vm_internal.h"

#define NS_A_MS UINT64_C(1000000)

void
vclock_init(struct vclock *clock, uint64_t unix_ms)
{
	clock->begun_unix_ms = unix_ms;
	clock->elapsed_ms = 0;
	TAILQ_INIT(&clock->timers);
}

int
vclock_step(struct vclock *clock, uint64_t until_ms)
{
	struct timer *timer = TAILQ_FIRST(&clock->timers);

	if (timer == NULL || timer->due_ms > until_ms)
		return 0;
	/* Somebody may have moved the clock past it. */
	if (timer->due_ms > clock->elapsed_ms)
		clock->elapsed_ms = timer->due_ms;
	timer_stop(timer);
	timer->cb(timer->cookie);
	return 1;
}

/* When it will be ${ms} later; beyond what fits nobody waits. */
static uint64_t
due_in(uint64_t ms)
{
	uint64_t now = clock_mono_ns(), most = (UINT64_MAX - now) / NS_A_MS;

	return now + (ms < most ? ms : most) * NS_A_MS;
}

static void
event_cb(evutil_socket_t fd, short what, void *cookie)
{
	struct timer *timer = cookie;

	(void)fd;
	(void)what;
	/* libevent goes by a coarse clock, and so may be a little early. */
	if (clock_mono_ns() < timer->due_mono_ns && loop_arm(timer->ev, 1) == 0)
		return;
	timer_stop(timer);
	timer->cb(timer->cookie);
}

/* Behind those that are due at the same time. */
static void
insert(struct timer *timer, struct vclock *clock, uint64_t ms)
{
	struct timer *before;

	timer->clock = clock;
	timer->due_ms = ms > UINT64_MAX - clock->elapsed_ms
			    ? UINT64_MAX
			    : clock->elapsed_ms + ms;
	TAILQ_FOREACH_REVERSE(before, &clock->timers, timer_list, entry)
	{
		if (before->due_ms <= timer->due_ms) {
			TAILQ_INSERT_AFTER(
			    &clock->timers, before, timer, entry);
			return;
		}
	}
	TAILQ_INSERT_HEAD(&clock->timers, timer, entry);
}

int
timer_start(struct timer *timer, struct event_base *base, struct vclock *clock,
    uint64_t ms, timer_cb *cb, void *cookie)
{
	timer->cb = cb;
	timer->cookie = cookie;
	if (clock != NULL) {
		insert(timer, clock, ms);
		return 0;
	}
	timer->due_mono_ns = due_in(ms);
	timer->ev = evtimer_new(base, event_cb, timer);
	if (timer->ev != NULL && loop_arm(timer->ev, ms) == 0)
		return 0;
	timer_stop(timer);
	return -1;
}

int
timer_start_common(struct timer *timer, struct event_base *base,
    struct vclock *clock, uint64_t ms, timer_cb *cb, void *cookie)
{
	struct timeval tv = loop_timeval(ms);
	const struct timeval *common;

	if (clock != NULL)
		return timer_start(timer, base, clock, ms, cb, cookie);
	timer->cb = cb;
	timer->cookie = cookie;
	timer->due_mono_ns = due_in(ms);
	/* All are equally long, which libevent can make cheap. */
	common = event_base_init_common_timeout(base, &tv);
	timer->ev = evtimer_new(base, event_cb, timer);
	if (timer->ev != NULL &&
	    evtimer_add(timer->ev, common != NULL ? common : &tv) == 0)
		return 0;
	timer_stop(timer);
	return -1;
}

void
timer_stop(struct timer *timer)
{
	if (timer->ev != NULL)
		event_free(timer->ev);
	timer->ev = NULL;
	if (timer->clock != NULL)
		TAILQ_REMOVE(&timer->clock->timers, timer, entry);
	timer->clock = NULL;
}

int
timer_is_set(const struct timer *timer)
{
	return timer->ev != NULL || timer->clock != NULL;
}

uint64_t
timer_mono_ms(const struct vm *vm)
{
	const struct vclock *clock = vm->host->clock;

	return clock == NULL ? clock_mono_ms() : clock->elapsed_ms;
}

uint64_t
timer_unix_ms(const struct vm *vm)
{
	const struct vclock *clock = vm->host->clock;

	return clock == NULL ? clock_unix_ms()
			     : clock->begun_unix_ms + clock->elapsed_ms;
}
