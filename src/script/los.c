/*
 * What a script has of os: the time, as script/timer.h has it; an unsafe one
 * has the rest of it as it is.
 */

#include <time.h>

#include <lauxlib.h>
#include <lua.h>

#include "script/sandbox.h"
#include "script/vm_internal.h"

/* A format that is longer would keep strftime() busy where no limit reaches. */
#define FORMAT_MAX 1000

/* Lua's own functions, as upvalues. */
#define STOCK lua_upvalueindex(1)

static lua_Integer
now_s(lua_State *L)
{
	return (lua_Integer)(timer_unix_ms(vm_of(L)) / 1000);
}

/* os.time([table]) */
static int
os_time(lua_State *L)
{
	if (lua_isnoneornil(L, 1)) {
		lua_pushinteger(L, now_s(L));
		return 1;
	}
	lua_settop(L, 1);
	lua_pushvalue(L, STOCK);
	lua_insert(L, 1);
	lua_call(L, 1, 1);
	return 1;
}

/* os.date([format [, time]]) */
static int
os_date(lua_State *L)
{
	size_t len;

	(void)luaL_optlstring(L, 1, "%c", &len);
	luaL_argcheck(L, len <= FORMAT_MAX, 1,
	    "the format of os.date is longer than 1000 bytes");
	lua_settop(L, 2);
	if (lua_isnil(L, 1)) {
		lua_pushliteral(L, "%c");
		lua_replace(L, 1);
	}
	if (lua_isnil(L, 2)) {
		lua_pushinteger(L, now_s(L));
		lua_replace(L, 2);
	}
	lua_pushvalue(L, STOCK);
	lua_insert(L, 1);
	lua_call(L, 2, 1);
	return 1;
}

/* os.clock(): CPU time; what a test lets pass counts as used. */
static int
os_clock(lua_State *L)
{
	const struct vclock *vclock = vm_of(L)->host->clock;
	lua_Number s = (lua_Number)clock() / (lua_Number)CLOCKS_PER_SEC;

	lua_pushnumber(L,
	    s + (vclock == NULL ? 0 : (lua_Number)vclock->elapsed_ms / 1000));
	return 1;
}

void
los_install(lua_State *L)
{
	static const luaL_Reg funcs[] = {
	    {"time", os_time},
	    {"date", os_date},
	    {"clock", os_clock},
	    {NULL, NULL},
	};
	const luaL_Reg *f;

	if (vm_of(L)->limits.unsafe) {
		lua_pushvalue(L, -1);
	} else {
		lua_createtable(L, 0, 4);
		(void)lua_getfield(L, -2, "difftime");
		lua_setfield(L, -2, "difftime");
	}
	for (f = funcs; f->name != NULL; f++) {
		(void)lua_getfield(L, -2, f->name);
		lua_pushcclosure(L, f->func, 1);
		lua_setfield(L, -2, f->name);
	}
	lua_remove(L, -2);
}
