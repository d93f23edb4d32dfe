#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/mailbox.h"
#include "net/loop.h"

static struct loop *
make(void)
{
	struct loop *loop = NULL;

	cr_assert_eq(loop_create(16, &loop, NULL), 0);
	return loop;
}

static void
stop_it(void *cookie)
{
	loop_stop(cookie);
}

struct letter {
	struct mail mail;
	struct loop *loop;
	int *count;
	int last;
};

static void
open_letter(struct mail *mail)
{
	struct letter *l = CONTAINER_OF(mail, struct letter, mail);

	++*l->count;
	if (l->last)
		loop_stop(l->loop);
}

Test(loop, opens_letters_in_order_and_stops)
{
	struct loop *loop = make();
	struct letter letters[5];
	int i, count = 0;

	for (i = 0; i < 5; i++) {
		letters[i] =
		    (struct letter){{NULL, open_letter}, loop, &count, i == 4};
		mailbox_put(loop_mailbox(loop), &letters[i].mail);
	}
	loop_run(loop);
	cr_expect_eq(count, 5);
	cr_expect_not_null(loop_base(loop));
	loop_free(loop);
	loop_free(NULL);
}

static atomic_int ran_elsewhere;
static pthread_t main_thread;

static void
note_thread(void *cookie)
{
	sigset_t mask;

	(void)cookie;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
	ran_elsewhere = !pthread_equal(pthread_self(), main_thread) &&
			sigismember(&mask, SIGTERM);
}

Test(loop, runs_on_a_thread_of_its_own_without_signals)
{
	struct loop *loop = make();

	main_thread = pthread_self();
	cr_assert_eq(loop_start(loop, "test", NULL), 0);
	loop_call(loop, note_thread, NULL);
	loop_call(loop, stop_it, loop);
	loop_stop(loop);
	loop_stop(loop);
	loop_join(loop);
	loop_join(loop);
	cr_expect(ran_elsewhere);
	loop_free(loop);
}

Test(loop, may_be_stopped_before_it_runs_and_frees_what_was_not_called)
{
	struct loop *loop = make();

	loop_stop(loop);
	loop_run(loop);
	loop_call(loop, stop_it, loop);
	loop_free(loop);
}

struct ticks {
	struct loop *loop;
	struct loop_timer *timer;
	int n;
};

static void
tick(void *cookie)
{
	struct ticks *t = cookie;

	if (++t->n == 3)
		loop_stop(t->loop);
	else
		loop_timer_set(t->timer, 1);
}

static void
never(void *cookie)
{
	(void)cookie;
	cr_assert_fail("a timer that was cancelled fired");
}

Test(loop, timers_fire_once_each_time_they_are_set)
{
	struct ticks t = {make(), NULL, 0};
	struct loop_timer *cancelled, *unset;
	uint64_t start = clock_mono_ms();

	t.timer = loop_timer_create(t.loop, tick, &t);
	cancelled = loop_timer_create(t.loop, never, NULL);
	unset = loop_timer_create(t.loop, never, NULL);
	loop_timer_set(cancelled, 0);
	loop_timer_cancel(cancelled);
	/* The later setting counts. */
	loop_timer_set(t.timer, 60000);
	loop_timer_set(t.timer, 5);
	loop_run(t.loop);
	cr_expect_eq(t.n, 3);
	cr_expect_lt(clock_mono_ms() - start, 30000);
	loop_timer_free(t.timer);
	loop_timer_free(cancelled);
	loop_timer_free(unset);
	loop_timer_free(NULL);
	loop_free(t.loop);
}
