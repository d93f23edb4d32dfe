#ifndef SCRIPT_VM_INTERNAL_H_
#define SCRIPT_VM_INTERNAL_H_

/*
 * What the files of this folder that hold Lua functions know of the vm.
 *
 * The waiting protocol (at most one pending operation per task):
 *   1. check every argument with luaL_check*();
 *   2. task = vm_task_check(L);
 *   3. make the operation a full userdata, in its "closed" state, with a
 *      metatable whose __gc frees it; only then start it.  Every step so far
 *      may raise, and nothing can leak;
 *   4. return vm_task_wait(task, cancel, op, k), which yields.
 * Later, in the operation's own callback, from the event loop:
 *   5. store the outcome in op; call NO Lua function: nothing protects you;
 *   6. vm_task_wake(task): it runs k inside the coroutine, and k turns op into
 *      Lua results.  The task, op and the vm may be gone when it returns.
 *
 * Time is what script/timer.h says: in a test of handlers it stands still.
 *
 * A function that loops in C over what a script gave it looks at limits_expired
 * now and then, and returns vm_kill_cpu(L) if that is set.
 *
 * Floor: 4 (script), private.
 */

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "json/jdoc.h"

#include "script/limits.h"
#include "script/timer.h"
#include "script/vm.h"

/* Lua's own limit on the length of a chunk's name is less. */
#define VM_WHERE_SIZE 160

typedef void vm_cancel_cb(void *cookie);

/* Why a run is being ended from inside. */
enum vm_kill {
	VM_KILL_NONE,
	VM_KILL_CPU,
	VM_KILL_RETRY,
	VM_KILL_DROP,
};

struct vm_task {
	struct vm *vm;
	lua_State *co;
	int co_ref; /* Keeps co alive; in the registry. */
	enum proto_activity activity;
	uint64_t id;
	uint64_t job;
	uint64_t serial; /* Its number in the vm, from 1. */
	char what[80];
	int loading; /* Above 0: nothing may wait. */
	void (*results)(lua_State *co, int n, void *cookie);
	vm_done_cb *done;
	void *cookie;
	vm_cancel_cb *cancel; /* Not NULL while an operation is pending. */
	void *cancel_cookie;
	struct timer deadline; /* Not set if there is none. */
	uint64_t deadline_ms;  /* How long it has; 0: for ever. */
	int awaited;           /* It is no job, which could run again. */
	int late;              /* It found that it has no time left. */
	int event_ref;         /* Its event table; LUA_NOREF if none. */
	int steps_ref;         /* Its recorded steps; LUA_NOREF if it has no
				* delivery. */
	size_t nsteps;         /* How many are recorded. */
	struct buf identity;   /* What its idempotency keys are made of. */
	uint64_t begun_mono_ms;
	uint64_t cpu_ns;
	uint64_t slice_ns;  /* The longest. */
	unsigned log_lines; /* Against floods. */
	size_t log_bytes;
	TAILQ_ENTRY(vm_task) entry;
};

struct vm {
	lua_State *L;
	struct event_base *base;        /* Borrowed. */
	const struct vm_host *host;     /* Borrowed. */
	const struct vm_script *script; /* Borrowed. */
	struct vm_limits limits;
	size_t mem_used;
	size_t mem_held;           /* In C, for the script (script/hold). */
	size_t mem_peak;           /* Of both. */
	int mem_refused;           /* In this slice. */
	struct vm_task *running;   /* Whose slice it is; NULL between. */
	enum vm_kill kill;         /* Once set, the slice is doomed. */
	uintptr_t c_stack;         /* Where the C stack of the slice begins. */
	int closing;               /* __close handlers have their grace. */
	char where[VM_WHERE_SIZE]; /* "file:line: " of the kill. */
	struct buf traceback;      /* Of the kill, or of the error. */
	char *reason;              /* event:retry, event:drop; or NULL. */
	uint64_t after_ms;
	struct jdoc doc;    /* For whoever parses JSON just now. */
	size_t doc_held;    /* What of mem_held is the doc's. */
	struct buf scratch; /* For whoever builds text just now. */
	size_t ntasks;
	uint64_t serials;
	TAILQ_HEAD(vm_task_list, vm_task) tasks;
};

/* The vm of any of its coroutines.  Lua stack: [-0, +0, -] */
struct vm *vm_of(lua_State *L);

/* There has never been as much memory in use; the host sees it, too. */
void vm_set_peak(struct vm *vm, size_t bytes);

/* A copy of a text that goes to the host: not longer than a person reads. */
char *vm_cut_text(const char *s, size_t len);

/* Whoever used vm->scratch is done: give it back if it has become large. */
void vm_trim(struct vm *vm);

/* The hook that limits_arm() sets. */
void vm_hook(lua_State *L, lua_Debug *ar);

/**
 * vm_kill(L, why), vm_kill_cpu(L):
 * End the run from inside: use as `return vm_kill(...)` in a lua_CFunction.
 * pcall cannot catch it: where the coroutine can yield, it yields, and is never
 * resumed; where it cannot, this raises an error, and the hook raises it again
 * at the next instruction.
 *
 * Lua stack: [-0, +0, v]
 */
int vm_kill(lua_State *L, enum vm_kill why);
int vm_kill_cpu(lua_State *L);

/* Whether the run is being ended: then vm_kill_on(L) passes it on outwards. */
int vm_killing(lua_State *L);
int vm_kill_on(lua_State *L);

/**
 * vm_close_thread(L, co):
 * lua_resetthread(${co}): run its pending __close, within what is left of the
 * slice, or in a short time of grace if the run is being ended.
 *
 * Returns:   the status; the error object is on top of ${co} if it is not
 *            LUA_OK.
 */
int vm_close_thread(lua_State *L, lua_State *co);

/**
 * vm_task_check(L):
 * The task whose own coroutine is ${L}.  Raise an error if nothing may wait
 * there: while a script loads, in a coroutine of the script's own, in a
 * callback from C.
 *
 * Lua stack: [-0, +0, v]
 */
struct vm_task *vm_task_check(lua_State *L);

/* The task whose coroutine is ${L}, or NULL. */
struct vm_task *vm_task_of(lua_State *L);

/* What is left of its deadline; UINT64_MAX if it has none. */
uint64_t vm_task_left_ms(const struct vm_task *task);

/**
 * vm_task_timer(task, timer, ms, cb, cookie):
 * Start ${timer} for what ${task} waits for.
 *
 * Returns:   0, or -1 if there is no memory.
 */
int vm_task_timer(struct vm_task *task, struct timer *timer, uint64_t ms,
    timer_cb *cb, void *cookie) ATTR_MUSTCHECK;

/**
 * vm_task_wait(task, cancel, cookie, k):
 * Suspend ${task}; use as `return vm_task_wait(...)` in a lua_CFunction.  When
 * woken, ${k}(L, LUA_YIELD, (lua_KContext)${cookie}) makes the results, with
 * the stack as it was left.  If the task dies first, ${cancel}(${cookie}) is
 * called, once, and must keep the operation from ever waking the task.
 *
 * Lua stack: yields 0 values; the values below stay for ${k}.
 */
int vm_task_wait(
    struct vm_task *task, vm_cancel_cb *cancel, void *cookie, lua_KFunction k);

/* Resume ${task}, which may have been freed when this returns. */
void vm_task_wake(struct vm_task *task);

/**
 * vm_put_traceback(out, L, what):
 * Append the script's own frames of ${L}, the innermost first, a line each.
 * ${what} is the name of the outermost.
 *
 * Lua stack: [-0, +0, -]
 */
void vm_put_traceback(struct buf *out, lua_State *L, const char *what);

#endif /* !SCRIPT_VM_INTERNAL_H_ */
