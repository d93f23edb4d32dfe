/*
 * sleep.  For users: lua/meta/sleep.d.lua
 */

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "base/str.h"

#include "script/larg.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

#define SLEEP_OP "moonpost.sleep.op"

/* A full userdata, anchored on the stack of the coroutine that waits. */
struct sleep_op {
	struct vm_task *task; /* Borrowed; valid while the timer is set. */
	struct timer timer;
};

/* Close; also what __gc and a cancel do.  Harmless when closed already. */
static void
sleep_close(void *cookie)
{
	struct sleep_op *op = cookie;

	timer_stop(&op->timer);
}

static int
sleep_gc(lua_State *L)
{
	sleep_close(luaL_checkudata(L, 1, SLEEP_OP));
	return 0;
}

static void
sleep_cb(void *cookie)
{
	struct sleep_op *op = cookie;

	vm_task_wake(op->task);
}

/* Continuation: nothing to return. */
static int
sleep_k(lua_State *L, int status, lua_KContext ctx)
{
	(void)L;
	(void)status;
	sleep_close((void *)ctx);
	return 0;
}

/* A sleep that the run cannot survive is refused at once. */
static void
check_deadline(lua_State *L, struct vm_task *task, uint64_t ms)
{
	struct buf *limit = &task->vm->scratch;
	uint64_t left_ms = vm_task_left_ms(task);

	/* Once it is over, the deadline itself comes at the next wait. */
	if (left_ms == 0 || ms < left_ms)
		return;
	task->late = 1;
	buf_reset(limit);
	str_put_duration(limit, task->deadline_ms);
	if (task->awaited)
		(void)luaL_error(L,
		    "sleep is longer than what is left of the %s that a "
		    "component has to answer (--ui-timeout)",
		    buf_text(limit));
	(void)luaL_error(L,
	    "sleep is longer than what is left of the handler deadline of %s: "
	    "use event:retry{after = ...} instead",
	    buf_text(limit));
}

/* sleep(duration) */
static int
l_sleep(lua_State *L)
{
	uint64_t ms = larg_duration_ms(L, 1, "the duration of sleep");
	struct vm_task *task;
	struct sleep_op *op;

	task = vm_task_check(L);
	check_deadline(L, task, ms);

	op = lua_newuserdatauv(L, sizeof(*op), 0);
	*op = (struct sleep_op){.task = task};
	luaL_setmetatable(L, SLEEP_OP);
	if (vm_task_timer(task, &op->timer, ms, sleep_cb, op) == -1)
		return luaL_error(L, "cannot start a timer");
	return vm_task_wait(task, sleep_close, op, sleep_k);
}

static const luaL_Reg sleep_funcs[] = {
    {"sleep", l_sleep},
    {NULL, NULL},
};

int
luaopen_moonpost_sleep(lua_State *L)
{
	if (luaL_newmetatable(L, SLEEP_OP)) {
		lua_pushcfunction(L, sleep_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_pop(L, 1);
	lua_pushcfunction(L, sleep_funcs[0].func);
	return 1;
}
