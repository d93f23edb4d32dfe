/*
 * json.  For users: lua/meta/json.d.lua
 */

#include <lauxlib.h>
#include <lua.h>

#include "base/err.h"

#include "script/convert.h"
#include "script/hold.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

/* json.encode(value) */
static int
l_encode(lua_State *L)
{
	struct vm *vm = vm_of(L);
	struct err err = ERR_INIT;
	size_t room = hold_room(vm);

	luaL_checkany(L, 1);
	buf_reset(&vm->scratch);
	/* There are two of it for a moment, and the first one grew. */
	if (convert_encode(L, 1, room / 3, &vm->scratch, &err) == -1) {
		vm_trim(vm);
		if (err.code == ERR_TIMEOUT)
			return vm_kill_cpu(L);
		if (err.code == ERR_TOO_LARGE)
			return hold_refuse(L);
		return luaL_error(L, "%s", err.msg);
	}
	lua_pushlstring(L, vm->scratch.data, vm->scratch.len);
	vm_trim(vm);
	return 1;
}

/* json.decode(text) */
static int
l_decode(lua_State *L)
{
	struct err err = ERR_INIT;
	struct str text;
	size_t offset = 0;

	text.data = luaL_checklstring(L, 1, &text.len);
	if (hold_json(L, text, &offset, &err) == -1) {
		luaL_pushfail(L);
		lua_pushstring(L, err.msg);
		lua_pushinteger(L, (lua_Integer)offset);
		return 3;
	}
	return 1;
}

/* json.array([t]) */
static int
l_array(lua_State *L)
{
	if (lua_isnoneornil(L, 1)) {
		lua_newtable(L);
	} else {
		luaL_checktype(L, 1, LUA_TTABLE);
		lua_settop(L, 1);
		if (!convert_is_array(L, 1) && lua_getmetatable(L, 1))
			return luaL_error(L, "the table has a metatable");
	}
	convert_mark_array(L);
	return 1;
}

static const luaL_Reg json_funcs[] = {
    {"encode", l_encode},
    {"decode", l_decode},
    {"array", l_array},
    {NULL, NULL},
};

int
luaopen_moonpost_json(lua_State *L)
{
	luaL_newlib(L, json_funcs);
	convert_push_null(L);
	lua_setfield(L, -2, "null");
	return 1;
}
