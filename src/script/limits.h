#ifndef SCRIPT_LIMITS_H_
#define SCRIPT_LIMITS_H_

/*
 * The CPU limit of a slice, at no cost while it is not reached.
 *
 * A standing count hook would make every script half as fast.  Instead a timer
 * on the thread's own CPU clock sends a signal to this very thread, and the
 * signal's handler does the one thing with Lua that a signal handler may do:
 * lua_sethook(), on the coroutine that is recorded as the running one.  From
 * then on vm_hook() is called at every instruction and call, and ends the run.
 *
 * For that to work, everything that resumes a coroutine must record it with
 * limits_switch(); and what loops in C must look at limits_expired.
 *
 * What nothing here can stop, as no hook and no code of ours runs in it: the
 * collection of large weak tables whose values refer to their keys
 * (ephemerons), one string comparison, concatenation or conversion of a very
 * long string, the compilation of a long source, and lua-cjson at work on what
 * fits.  All
 * but the first are bounded by the memory limit; for the first there is the
 * host, which kills a worker whose slice does not end (struct proto_page).
 *
 * Floor: 4 (script).  May include base/.
 */

#include <signal.h>
#include <stdint.h>

struct lua_State;

/* Set by the signal: the slice that runs has used up its time. */
extern volatile sig_atomic_t limits_expired;

/**
 * limits_begin(L, cpu_ns):
 * A slice begins, in which ${L} runs for at most ${cpu_ns}.
 *
 * Units:     ${cpu_ns} of this thread's CPU time; 0 is no limit.
 * Thread:    always the same.
 */
void limits_begin(struct lua_State *L, uint64_t cpu_ns);

/* CPU time of this thread when the slice began, in ns. */
uint64_t limits_begun_ns(void);

/**
 * limits_grace(L):
 * The run is being ended: ${L} may run for a moment more, to close what it has
 * open.  All such moments of a slice together are LIMITS_GRACE_NS.
 */
#define LIMITS_GRACE_NS 100000000ULL
void limits_grace(struct lua_State *L);

/* The slice is over.  Returns the CPU time that it took, in ns. */
uint64_t limits_end(void);

/* From now on ${L} runs.  Returns the one that did. */
struct lua_State *limits_switch(struct lua_State *L);

/* Have vm_hook() called in ${L} as soon as it runs. */
void limits_arm(struct lua_State *L);

#endif /* !SCRIPT_LIMITS_H_ */
