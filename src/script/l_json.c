/*
 * json, and lua-cjson for scripts that ask for it.  For users:
 * lua/meta/json.d.lua
 */

#include <lauxlib.h>
#include <lua.h>

#include <lua-cjson.h>

#include "base/err.h"

#include "script/convert.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

/*
 * A parsed text takes up to 16 times its length in C memory for a moment, which
 * Lua's cap does not see.
 */
#define TAPE_FACTOR 16

/* What is kept of the parser's memory between calls, in tape values. */
#define TAPE_KEEP 65536

/* lua-cjson has this too, but its header does not say so. */
extern int luaopen_cjson_safe(lua_State *L);

/* json.encode(value) */
static int
l_encode(lua_State *L)
{
	struct vm *vm = vm_of(L);
	struct err err = ERR_INIT;

	luaL_checkany(L, 1);
	buf_reset(&vm->scratch);
	if (convert_encode(L, 1,
		vm->limits.mem_bytes == 0 ? SIZE_MAX / 2
					  : (size_t)vm->limits.mem_bytes,
		&vm->scratch, &err) == -1) {
		vm_trim(vm);
		if (err.code == ERR_TIMEOUT)
			return vm_kill_cpu(L);
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
	struct vm *vm = vm_of(L);
	struct err err = ERR_INIT;
	const char *text;
	size_t len, offset = 0;

	text = luaL_checklstring(L, 1, &len);
	if (vm->limits.mem_bytes != 0 &&
	    len > vm->limits.mem_bytes / TAPE_FACTOR * 2) {
		luaL_pushfail(L);
		lua_pushliteral(L, "the text is too long for the memory limit");
		lua_pushinteger(L, 0);
		return 3;
	}
	if (jdoc_parse(&vm->doc, text, len, &offset, &err) == -1) {
		luaL_pushfail(L);
		lua_pushstring(L, err.msg);
		lua_pushinteger(L, (lua_Integer)offset);
		return 3;
	}
	convert_push(L, jdoc_root(&vm->doc));
	if (vm->doc.tape_cap > TAPE_KEEP)
		jdoc_free(&vm->doc);
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

/*
 * A setting of lua-cjson, told but not changed: with a depth of 1<<30 it runs
 * off the C stack.
 */
static int
frozen(lua_State *L)
{
	if (!lua_isnoneornil(L, 1))
		return luaL_error(L, "cjson's settings cannot be changed here");
	lua_settop(L, 0);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_call(L, 0, LUA_MULTRET);
	return lua_gettop(L);
}

static int
open_cjson(lua_State *L, lua_CFunction open)
{
	static const char *const settings[] = {"encode_sparse_array",
	    "encode_max_depth", "decode_max_depth", "encode_number_precision",
	    "encode_keep_buffer", "encode_invalid_numbers",
	    "decode_invalid_numbers"};
	size_t i;

	lua_pushcfunction(L, open);
	lua_call(L, 0, 1);
	for (i = 0; i < NELEMS(settings); i++) {
		if (lua_getfield(L, -1, settings[i]) == LUA_TNIL) {
			lua_pop(L, 1);
			continue;
		}
		lua_pushcclosure(L, frozen, 1);
		lua_setfield(L, -2, settings[i]);
	}
	/* A new one would come with settings of its own. */
	lua_pushnil(L);
	lua_setfield(L, -2, "new");
	return 1;
}

int
luaopen_moonpost_cjson(lua_State *L)
{
	return open_cjson(L, luaopen_cjson);
}

int
luaopen_moonpost_cjson_safe(lua_State *L)
{
	return open_cjson(L, luaopen_cjson_safe);
}
