#include <limits.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/compiler.h"

#include "script/sandbox.h"
#include "script/vm_internal.h"

/*
 * The functions of the table library that go over a range which a script can
 * make as long as it likes, by __len or by saying so: here every element is a
 * look at the CPU limit.
 */

/* Whether the slice is over; then the caller returns vm_kill_cpu(L). */
#define OVER() UNLIKELY(limits_expired)

/* table.insert(t, [pos,] value) */
static int
tab_insert(lua_State *L)
{
	lua_Integer end, pos, i;

	luaL_checktype(L, 1, LUA_TTABLE);
	end = (lua_Integer)((lua_Unsigned)luaL_len(L, 1) + 1);
	switch (lua_gettop(L)) {
	case 2:
		lua_seti(L, 1, end);
		return 0;
	case 3:
		pos = luaL_checkinteger(L, 2);
		luaL_argcheck(L, (lua_Unsigned)pos - 1 < (lua_Unsigned)end, 2,
		    "position out of bounds");
		for (i = end; i > pos; i--) {
			if (OVER())
				return vm_kill_cpu(L);
			(void)lua_geti(L, 1, i - 1);
			lua_seti(L, 1, i);
		}
		lua_seti(L, 1, pos);
		return 0;
	default:
		return luaL_error(L, "wrong number of arguments to 'insert'");
	}
}

/* table.remove(t [, pos]) */
static int
tab_remove(lua_State *L)
{
	lua_Integer size, pos;

	luaL_checktype(L, 1, LUA_TTABLE);
	size = luaL_len(L, 1);
	pos = luaL_optinteger(L, 2, size);
	luaL_argcheck(L,
	    pos == size || (lua_Unsigned)pos - 1 <= (lua_Unsigned)size, 2,
	    "position out of bounds");
	(void)lua_geti(L, 1, pos);
	for (; pos < size; pos++) {
		if (OVER())
			return vm_kill_cpu(L);
		(void)lua_geti(L, 1, pos + 1);
		lua_seti(L, 1, pos);
	}
	lua_pushnil(L);
	lua_seti(L, 1, pos);
	return 1;
}

/* table.move(from, first, last, to [, target]) */
static int
tab_move(lua_State *L)
{
	lua_Integer first, last, to, n, i;
	int target;

	luaL_checktype(L, 1, LUA_TTABLE);
	first = luaL_checkinteger(L, 2);
	last = luaL_checkinteger(L, 3);
	to = luaL_checkinteger(L, 4);
	target = lua_isnoneornil(L, 5) ? 1 : 5;
	luaL_checktype(L, target, LUA_TTABLE);
	if (last >= first) {
		luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3,
		    "too many elements to move");
		n = last - first + 1;
		luaL_argcheck(L, to <= LUA_MAXINTEGER - n + 1, 4,
		    "destination wrap around");
		/* Upwards, unless that would overwrite what is yet to move. */
		if (to > last || to <= first || !lua_rawequal(L, 1, target)) {
			for (i = 0; i < n; i++) {
				if (OVER())
					return vm_kill_cpu(L);
				(void)lua_geti(L, 1, first + i);
				lua_seti(L, target, to + i);
			}
		} else {
			for (i = n - 1; i >= 0; i--) {
				if (OVER())
					return vm_kill_cpu(L);
				(void)lua_geti(L, 1, first + i);
				lua_seti(L, target, to + i);
			}
		}
	}
	lua_pushvalue(L, target);
	return 1;
}

static int
less_than(lua_State *L)
{
	lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
	return 1;
}

/*
 * table.sort(t [, less]): Lua's own, but with a function to compare even where
 * none is given, so that the hook sees every comparison: two long strings that
 * are equal take their time.
 */
static int
tab_sort(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	if (lua_isnoneornil(L, 2)) {
		lua_settop(L, 1);
		lua_pushcfunction(L, less_than);
	}
	lua_settop(L, 2);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 2, 0);
	return 0;
}

void
ltable_install(lua_State *L)
{
	static const luaL_Reg funcs[] = {
	    {"insert", tab_insert},
	    {"remove", tab_remove},
	    {"move", tab_move},
	    {NULL, NULL},
	};

	luaL_setfuncs(L, funcs, 0);
	(void)lua_getfield(L, -1, "sort");
	lua_pushcclosure(L, tab_sort, 1);
	lua_setfield(L, -2, "sort");
}
