#include <sys/syscall.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lua.h>

#include "base/clock.h"

#include "script/limits.h"
#include "script/vm_internal.h"

/* After the first signal, another one every so often, in case that one came
 * just when the running coroutine changed. */
#define AGAIN_NS 5000000L

#define NS_PER_S 1000000000ULL

#define LIMIT_SIGNAL (SIGRTMIN + 1)

volatile sig_atomic_t limits_expired;

/* The coroutine that runs; NULL between slices.  The signal's handler reads it
 * in this same thread, so volatile is all that it takes. */
static lua_State *volatile running;

static timer_t timer;
static int timer_made;
static uint64_t begun_ns;
static uint64_t grace_end_ns; /* 0: none was granted in this slice. */

void
limits_arm(struct lua_State *L)
{
	lua_sethook(L, vm_hook, LUA_MASKCOUNT | LUA_MASKCALL | LUA_MASKLINE, 1);
}

static void
on_signal(int sig)
{
	lua_State *L = running;

	(void)sig;
	if (L == NULL)
		return;
	limits_expired = 1;
	limits_arm(L);
}

static void
make_timer(void)
{
	struct sigaction sa;
	struct sigevent ev;
	int rc;

	(void)memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sa.sa_flags = SA_RESTART;
	(void)sigaction(LIMIT_SIGNAL, &sa, NULL);

	(void)memset(&ev, 0, sizeof(ev));
	ev.sigev_notify = SIGEV_THREAD_ID;
	ev.sigev_signo = LIMIT_SIGNAL;
	ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	rc = timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &timer);

	/* Without it there would be no limit, so there is no going on. */
	if (rc == -1) {
		(void)fputs("moonpost: no timer on CPU time\n", stderr);
		abort();
	}
	timer_made = 1;
}

/* Have the signal sent when this thread has used ${end_ns}; 0 is never. */
static void
set_timer(uint64_t end_ns)
{
	struct itimerspec when = {{0, 0}, {0, 0}};

	if (end_ns != 0) {
		when.it_value.tv_sec = (time_t)(end_ns / NS_PER_S);
		when.it_value.tv_nsec = (long)(end_ns % NS_PER_S);
		when.it_interval.tv_nsec = AGAIN_NS;
	}
	(void)timer_settime(timer, TIMER_ABSTIME, &when, NULL);
}

void
limits_begin(struct lua_State *L, uint64_t cpu_ns)
{
	if (!timer_made)
		make_timer();
	begun_ns = clock_thread_cpu_ns();
	grace_end_ns = 0;
	/* The timer may still be on from the slice before, but no signal counts
	 * while nothing runs. */
	set_timer(cpu_ns == 0 ? 0 : begun_ns + cpu_ns);
	limits_expired = 0;
	running = L;
}

uint64_t
limits_begun_ns(void)
{
	return begun_ns;
}

void
limits_grace(struct lua_State *L)
{
	running = NULL;
	if (grace_end_ns == 0)
		grace_end_ns = clock_thread_cpu_ns() + LIMITS_GRACE_NS;
	set_timer(grace_end_ns);
	limits_expired = 0;
	running = L;
}

uint64_t
limits_end(void)
{
	running = NULL;
	limits_expired = 0;
	return clock_thread_cpu_ns() - begun_ns;
}

struct lua_State *
limits_switch(struct lua_State *L)
{
	lua_State *was = running;

	running = L;
	/* The signal may have come just before. */
	if (limits_expired)
		limits_arm(L);
	return was;
}
