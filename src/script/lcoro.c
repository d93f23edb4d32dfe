#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>

#include "script/sandbox.h"
#include "script/vm_internal.h"

/*
 * The functions of the coroutine library that run another coroutine.  They
 * record it as the running one, for the CPU limit, and pass on the end of a run
 * to whoever resumed, as no script may catch it.
 */

/*
 * How much of the C stack may be in use.  Lua counts its calls in C, but begins
 * anew when a coroutine is closed, and closing can be nested without end.
 */
#define MAX_C_STACK (2U << 20)

static void
check_c_stack(lua_State *L)
{
	char here;
	uintptr_t base = vm_of(L)->c_stack, now = (uintptr_t)&here;

	/* Stacks grow downwards wherever this runs. */
	if (base > now && base - now > MAX_C_STACK)
		(void)luaL_error(L, "C stack overflow");
}

static lua_State *
check_thread(lua_State *L, int arg)
{
	lua_State *co = lua_tothread(L, arg);

	luaL_argexpected(L, co != NULL, arg, "coroutine");
	return co;
}

/* Whether the run was ended in ${co}, or that is to be passed on: closes it. */
static int
was_killed(lua_State *L, lua_State *co)
{
	if (!vm_killing(L))
		return 0;
	if (lua_status(co) != LUA_OK)
		(void)vm_close_thread(L, co);
	return 1;
}

/*
 * Resume ${co} with the ${narg} values on top of ${L}.
 *
 * Returns:   how many values it pushed, or -1 and the error is on top of
 *            ${co}.  If vm_killing(), neither.
 */
static int
resume(lua_State *L, lua_State *co, int narg)
{
	int n, status;

	check_c_stack(L);
	if (!lua_checkstack(co, narg + 1)) {
		lua_pop(L, narg);
		lua_pushliteral(L, "too many arguments to resume");
		lua_xmove(L, co, 1);
		return -1;
	}
	/* A handler that waits is no coroutine of the script's. */
	if (vm_task_of(co) != NULL) {
		lua_pop(L, narg);
		lua_pushliteral(L, "cannot resume a handler");
		lua_xmove(L, co, 1);
		return -1;
	}
	lua_xmove(L, co, narg);
	(void)limits_switch(co);
	status = lua_resume(co, L, narg, &n);
	(void)limits_switch(L);
	if (was_killed(L, co))
		return -1;
	if (status != LUA_OK && status != LUA_YIELD)
		return -1;
	if (!lua_checkstack(L, n + 1)) {
		lua_pop(co, n);
		lua_pushliteral(co, "too many results to resume");
		return -1;
	}
	lua_xmove(co, L, n);
	return n;
}

/* coroutine.resume(co, ...) */
static int
co_resume(lua_State *L)
{
	lua_State *co = check_thread(L, 1);
	int n = resume(L, co, lua_gettop(L) - 1);

	if (vm_killing(L))
		return vm_kill_on(L);
	if (n == -1) {
		lua_xmove(co, L, 1);
		lua_pushboolean(L, 0);
		lua_insert(L, -2);
		return 2;
	}
	lua_pushboolean(L, 1);
	lua_insert(L, -(n + 1));
	return n + 1;
}

/* What coroutine.wrap returns. */
static int
co_wrapped(lua_State *L)
{
	lua_State *co = lua_tothread(L, lua_upvalueindex(1));
	int status, n = resume(L, co, lua_gettop(L));

	if (vm_killing(L))
		return vm_kill_on(L);
	if (n >= 0)
		return n;

	/* An error in it: close it.  (If it could not run, it is as it was.) */
	status = lua_status(co);
	if (status != LUA_OK && status != LUA_YIELD && vm_task_of(co) == NULL) {
		status = vm_close_thread(L, co);
		if (vm_killing(L))
			return vm_kill_on(L);
	}
	lua_xmove(co, L, 1);
	if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
		luaL_where(L, 1);
		lua_insert(L, -2);
		lua_concat(L, 2);
	}
	return lua_error(L);
}

/* coroutine.wrap(f) */
static int
co_wrap(lua_State *L)
{
	lua_State *co;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	co = lua_newthread(L);
	lua_pushvalue(L, 1);
	lua_xmove(L, co, 1);
	lua_pushcclosure(L, co_wrapped, 1);
	return 1;
}

/* coroutine.close(co) */
static int
co_close(lua_State *L)
{
	lua_State *co = check_thread(L, 1);
	lua_Debug ar;
	int status;

	check_c_stack(L);
	if (co == L || (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar)))
		return luaL_error(L, "cannot close a running coroutine");
	if (vm_task_of(co) != NULL)
		return luaL_error(L, "cannot close a handler");
	status = vm_close_thread(L, co);
	if (vm_killing(L))
		return vm_kill_on(L);
	if (status == LUA_OK) {
		lua_pushboolean(L, 1);
		return 1;
	}
	lua_pushboolean(L, 0);
	lua_xmove(co, L, 1);
	return 2;
}

/* coroutine.yield(...): a handler has nobody to yield to. */
static int co_yield (lua_State *L)
{
	if (vm_task_of(L) != NULL)
		return luaL_error(
		    L, "attempt to yield from outside a coroutine");
	return lua_yield(L, lua_gettop(L));
}

/* coroutine.isyieldable([co]) */
static int
co_isyieldable(lua_State *L)
{
	lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;

	lua_pushboolean(L, vm_task_of(co) == NULL && lua_isyieldable(co));
	return 1;
}

void
lcoro_install(lua_State *L)
{
	static const luaL_Reg funcs[] = {
	    {"resume", co_resume},
	    {"wrap", co_wrap},
	    {"close", co_close},
	    {"yield", co_yield },
	    {"isyieldable", co_isyieldable},
	    {NULL, NULL},
	};

	luaL_setfuncs(L, funcs, 0);
}
