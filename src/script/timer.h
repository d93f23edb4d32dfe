#ifndef SCRIPT_TIMER_H_
#define SCRIPT_TIMER_H_

/*
 * Time as a script has it.  A worker that serves takes it from the machine; in
 * a test of handlers it stands still until somebody moves it, so that nothing
 * there has to be waited for.  Whatever waits for a script, or tells it the
 * time, goes through here.
 *
 * Floor: 4 (script), private.
 */

#include <sys/queue.h>

#include <stdint.h>

#include "base/compiler.h"

struct event;
struct event_base;
struct vm;

/* Time has come.  The timer is stopped already. */
typedef void timer_cb(void *cookie);

/* Embedded in its owner; all zero is one that is not set. */
struct timer {
	struct event *ev;     /* Set, by the machine's time. */
	struct vclock *clock; /* Set, by that clock. */
	uint64_t due_ms;      /* Of ->elapsed_ms. */
	uint64_t due_mono_ns; /* By the machine's time. */
	timer_cb *cb;
	void *cookie;
	TAILQ_ENTRY(timer) entry;
};

TAILQ_HEAD(timer_list, timer);

/* A clock that stands still but for vclock_step(). */
struct vclock {
	uint64_t begun_unix_ms;
	uint64_t elapsed_ms;      /* Since. */
	struct timer_list timers; /* The one that is due first, first. */
};

void vclock_init(struct vclock *clock, uint64_t unix_ms);

/**
 * vclock_step(clock, until_ms):
 * Move the clock to the first timer that is due, if that is at ${until_ms}
 * after its beginning or before, and call it.
 *
 * Returns:   1; or 0 if there is none, and the clock is as it was.
 */
int vclock_step(struct vclock *clock, uint64_t until_ms);

/**
 * timer_start(timer, base, clock, ms, cb, cookie):
 * Call back once in ${ms}: by ${clock} if there is one, else by ${base}.
 * timer_start_common() is for very many of the same length.
 *
 * Returns:   0, or -1 if there is no memory.
 * Ownership: keeps ${timer}, which must not move, until it is called or
 *            stopped.
 */
int timer_start(struct timer *timer, struct event_base *base,
    struct vclock *clock, uint64_t ms, timer_cb *cb,
    void *cookie) ATTR_MUSTCHECK;
int timer_start_common(struct timer *timer, struct event_base *base,
    struct vclock *clock, uint64_t ms, timer_cb *cb,
    void *cookie) ATTR_MUSTCHECK;

/* No effect on one that is not set. */
void timer_stop(struct timer *timer);

int timer_is_set(const struct timer *timer);

/* Now, as the scripts of ${vm} have it: for differences, and since 1970. */
uint64_t timer_mono_ms(const struct vm *vm);
uint64_t timer_unix_ms(const struct vm *vm);

#endif /* !SCRIPT_TIMER_H_ */
