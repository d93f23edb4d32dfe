#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"

#include "script/lask.h"
#include "script/lmodule.h"
#include "script/vm_internal.h"

static int
core_asked(lua_State *L, int status, lua_KContext ctx)
{
	const struct proto_answer *answer = lask_answer(ctx);

	(void)status;
	if (answer->code != 0)
		return lask_push_refusal(L, answer);
	lask_push_json(L, answer->json);
	return 1;
}

/* ask(topic, args): what the host answers, or nil, message, code. */
static int
core_ask(lua_State *L)
{
	const char *topic = luaL_checkstring(L, 1);
	struct str args;

	luaL_checktype(L, 2, LUA_TTABLE);
	(void)vm_task_check(L);
	args = lask_encode(L, 2, topic);
	return lask_topic(L, topic, args, core_asked);
}

/* left(): seconds of the deadline of the run. */
static int
core_left(lua_State *L)
{
	const struct vm_task *task = vm_task_check(L);
	uint64_t left_ms = vm_task_left_ms(task);

	lua_pushnumber(L, left_ms == UINT64_MAX ? (lua_Number)1e9
						: (lua_Number)left_ms / 1000);
	return 1;
}

/* retry(seconds, why): end the run, if it is one that can run again. */
static int
core_retry(lua_State *L)
{
	lua_Number seconds = luaL_checknumber(L, 1);
	const char *why = luaL_checkstring(L, 2);
	struct vm *vm = vm_of(L);

	if (vm_task_check(L)->job == 0)
		return 0;
	free(vm->reason);
	vm->reason = mem_strdup(why);
	vm->after_ms = (uint64_t)(seconds * 1000);
	return vm_kill(L, VM_KILL_RETRY);
}

/* Push what the module returns. */
static void
push_module(lua_State *L, const struct lmodule *module)
{
	static const luaL_Reg core[] = {
	    {"ask", core_ask},
	    {"left", core_left},
	    {"retry", core_retry},
	    {NULL, NULL},
	};

	if (lua_rawgetp(L, LUA_REGISTRYINDEX, module) == LUA_TTABLE)
		return;
	lua_pop(L, 1);
	if (luaL_loadbufferx(L, (const char *)module->source,
		*module->source_len, module->chunk, "t") != LUA_OK)
		(void)lua_error(L);
	luaL_newlib(L, core);
	module->core(L);
	lua_call(L, 1, 1);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, module);
}

static int
called(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)ctx;
	return lua_gettop(L);
}

int
lmodule_call(lua_State *L, const struct lmodule *module, const char *name)
{
	int n = lua_gettop(L);

	luaL_checkstack(L, LUA_MINSTACK, NULL);
	push_module(L, module);
	(void)lua_getfield(L, -1, name);
	lua_remove(L, -2);
	lua_insert(L, 1);
	lua_callk(L, n, LUA_MULTRET, 0, called);
	return called(L, LUA_OK, 0);
}
