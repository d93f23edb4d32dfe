#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "base/compiler.h"

#include "script/convert.h"
#include "script/lask.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

/* A field of a sealed table's metatable, by which rawset knows it. */
#define SEALED "__sealed"

/* Lua's own libraries that a script may have (the base library aside). */
static const luaL_Reg libraries[] = {
    {LUA_STRLIBNAME, luaopen_string},
    {LUA_TABLIBNAME, luaopen_table},
    {LUA_MATHLIBNAME, luaopen_math},
    {LUA_UTF8LIBNAME, luaopen_utf8},
    {LUA_COLIBNAME, luaopen_coroutine},
    {LUA_OSLIBNAME, luaopen_os},
};

/* Ours.  The ones with a global are there without require. */
static const struct module {
	const char *name;
	lua_CFunction open;
	int global;
} modules[] = {
    {"alert_action", luaopen_moonpost_alert_action, 1},
    {"crypto", luaopen_moonpost_crypto, 1},
    {"http", luaopen_moonpost_http, 1},
    {"issue_link", luaopen_moonpost_issue_link, 1},
    {"json", luaopen_moonpost_json, 1},
    {"kv", luaopen_moonpost_kv, 1},
    {"log", luaopen_moonpost_log, 1},
    {"oauth", luaopen_moonpost_oauth, 1},
    {"schedule", luaopen_moonpost_schedule, 1},
    {"secret", luaopen_moonpost_secret, 1},
    {"sentry", luaopen_moonpost_sentry, 1},
    {"sleep", luaopen_moonpost_sleep, 1},
    {"stacktrace_link", luaopen_moonpost_stacktrace_link, 1},
    {"step", luaopen_moonpost_step, 1},
    {"cjson", luaopen_moonpost_cjson, 0},
    {"cjson.safe", luaopen_moonpost_cjson_safe, 0},
};

/* What of the base library would reach files or escape a limit; and what has
 * nowhere to warn. */
static const char *const banned[] = {"dofile", "loadfile", "load"};
static const char *const useless[] = {"warn"};

/* What only an unsafe script has. */
static const luaL_Reg rest[] = {
    {LUA_LOADLIBNAME, luaopen_package},
    {LUA_IOLIBNAME, luaopen_io},
    {LUA_DBLIBNAME, luaopen_debug},
};

static int
sealed_newindex(lua_State *L)
{
	const char *name = lua_tostring(L, lua_upvalueindex(1));
	const char *key =
	    lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";

	return luaL_error(
	    L, "%s is read-only: cannot set %s.%s", name, name, key);
}

/* pairs() goes over what is behind the proxy. */
static int
sealed_next(lua_State *L)
{
	lua_settop(L, 2);
	if (lua_next(L, lua_upvalueindex(1)))
		return 2;
	lua_pushnil(L);
	return 1;
}

static int
sealed_pairs(lua_State *L)
{
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushcclosure(L, sealed_next, 1);
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	return 3;
}

void
sandbox_seal(lua_State *L, const char *name)
{
	lua_newtable(L);          /* The proxy. */
	lua_createtable(L, 0, 5); /* Its metatable. */
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pushstring(L, name);
	lua_pushcclosure(L, sealed_newindex, 1);
	lua_setfield(L, -2, "__newindex");
	lua_pushvalue(L, -3);
	lua_pushcclosure(L, sealed_pairs, 1);
	lua_setfield(L, -2, "__pairs");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pushboolean(L, 1);
	lua_setfield(L, -2, SEALED);
	(void)lua_setmetatable(L, -2);
	lua_remove(L, -2);
}

/* rawset(t, k, v), but not on what is sealed. */
static int
base_rawset(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checkany(L, 2);
	luaL_checkany(L, 3);
	if (luaL_getmetafield(L, 1, SEALED) != LUA_TNIL)
		return luaL_error(L, "a library is read-only");
	lua_settop(L, 3);
	lua_rawset(L, 1);
	return 1;
}

/*
 * setmetatable(t, mt), but without __gc: finalizers run with hooks off, so that
 * no limit could stop one.  What gets a __gc later has none, as Lua looks for
 * it here only.
 */
static int
base_setmetatable(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argexpected(
	    L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
	if (lua_istable(L, 2)) {
		lua_pushliteral(L, "__gc");
		luaL_argcheck(L, lua_rawget(L, 2) == LUA_TNIL, 2,
		    "__gc is not allowed here; use __close");
	}
	/* The mark of a JSON array gives way; the others are protected. */
	lua_settop(L, 2);
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL &&
	    !convert_is_array(L, 1))
		return luaL_error(L, "cannot change a protected metatable");
	lua_settop(L, 2);
	(void)lua_setmetatable(L, 1);
	return 1;
}

/* collectgarbage("collect" | "step" | "count"): the rest would change how the
 * collector works, and the generational one of Lua 5.4.4 is not sound. */
static int
base_collectgarbage(lua_State *L)
{
	static const char *const names[] = {
	    "collect", "step", "count", "isrunning", NULL};
	int what = luaL_checkoption(L, 1, "collect", names);

	switch (what) {
	case 0:
		lua_pushinteger(L, lua_gc(L, LUA_GCCOLLECT));
		break;
	case 1:
		lua_pushboolean(L, lua_gc(L, LUA_GCSTEP, 0));
		break;
	case 2:
		lua_pushnumber(
		    L, (lua_Number)lua_gc(L, LUA_GCCOUNT) +
			   (lua_Number)lua_gc(L, LUA_GCCOUNTB) / 1024);
		break;
	default:
		lua_pushboolean(L, 1);
		break;
	}
	return 1;
}

/* The error, and the traceback while the stack is still there. */
static int
message_handler(lua_State *L)
{
	struct vm *vm = vm_of(L);

	buf_reset(&vm->scratch);
	vm_put_traceback(&vm->scratch, L, NULL);
	lua_createtable(L, 2, 0);
	lua_pushvalue(L, 1);
	lua_rawseti(L, -2, 1);
	lua_pushlstring(L, buf_text(&vm->scratch), vm->scratch.len);
	lua_rawseti(L, -2, 2);
	return 1;
}

/* The user's handler is done: false, and what it returned. */
static int
xpcall_handled(lua_State *L, int status, lua_KContext ctx)
{
	(void)ctx;
	if (status != LUA_OK && status != LUA_YIELD && vm_killing(L))
		return vm_kill_on(L);
	lua_pushboolean(L, 0);
	lua_insert(L, 2);
	return lua_gettop(L) - 1;
}

/* Stack: handler, message_handler, and what the function returned or the pair
 * of message_handler(). */
static int
xpcall_done(lua_State *L, int status, lua_KContext ctx)
{
	(void)ctx;
	if (status == LUA_OK || status == LUA_YIELD) {
		lua_pushboolean(L, 1);
		lua_replace(L, 2);
		return lua_gettop(L) - 1;
	}
	if (vm_killing(L))
		return vm_kill_on(L);

	/* Without memory there is no pair but the bare error. */
	if (status != LUA_ERRRUN) {
		lua_pushnil(L);
	} else {
		(void)lua_rawgeti(L, -1, 1);
		(void)lua_rawgeti(L, -2, 2);
		lua_remove(L, -3);
	}
	/* handler, message_handler, error, traceback */
	lua_pushvalue(L, 1);
	lua_replace(L, 2);
	status = lua_pcallk(L, 2, LUA_MULTRET, 0, 0, xpcall_handled);
	return xpcall_handled(L, status, 0);
}

/*
 * xpcall(f, handler, ...): as Lua's, but the handler is called when the stack
 * is unwound: it gets the traceback as its second argument instead.  In Lua's
 * own, a handler that loops could not be stopped.
 */
static int
base_xpcall(lua_State *L)
{
	int status, n = lua_gettop(L);

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_pushvalue(L, 1);
	lua_insert(L, 3);
	lua_pushvalue(L, 2);
	lua_replace(L, 1);
	lua_pushcfunction(L, message_handler);
	lua_replace(L, 2);
	/* handler, message_handler, f, arguments... */
	status = lua_pcallk(L, n - 2, LUA_MULTRET, 2, 0, xpcall_done);
	return xpcall_done(L, status, 0);
}

/* The methods of strings are those of the library, and out of reach. */
static void
protect_strings(lua_State *L)
{
	lua_pushliteral(L, "");
	(void)lua_getmetatable(L, -1);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 2);
}

/* json.null and cjson.null are this one; a script sees no other. */
static void
open_null(lua_State *L)
{
	lua_pushlightuserdata(L, NULL);
	lua_createtable(L, 0, 3);
	lua_pushcfunction(L, convert_null_index);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pushcfunction(L, convert_null_tostring);
	lua_setfield(L, -2, "__tostring");
	(void)lua_setmetatable(L, -2);
	lua_pop(L, 1);
}

/* Take functions out of the library on top. */
static void
drop(lua_State *L, const char *const *names, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		lua_pushnil(L);
		lua_setfield(L, -2, names[i]);
	}
}

static void
open_string(lua_State *L)
{
	static const char *const codes[] = {"dump"};

	lstring_install(L);
	if (!vm_of(L)->limits.unsafe)
		drop(L, codes, NELEMS(codes));
}

static void
open_libraries(lua_State *L)
{
	size_t i;

	for (i = 0; i < NELEMS(libraries); i++) {
		luaL_requiref(L, libraries[i].name, libraries[i].func, 0);
		if (strcmp(libraries[i].name, LUA_STRLIBNAME) == 0)
			open_string(L);
		else if (strcmp(libraries[i].name, LUA_TABLIBNAME) == 0)
			ltable_install(L);
		else if (strcmp(libraries[i].name, LUA_COLIBNAME) == 0)
			lcoro_install(L);
		else if (strcmp(libraries[i].name, LUA_OSLIBNAME) == 0)
			los_install(L);
		sandbox_seal(L, libraries[i].name);
		/* modules[name] = _G[name] = the proxy */
		lua_pushvalue(L, -1);
		lua_setglobal(L, libraries[i].name);
		lua_setfield(L, -2, libraries[i].name);
	}
}

static void
open_modules(lua_State *L)
{
	size_t i;

	for (i = 0; i < NELEMS(modules); i++) {
		lua_pushcfunction(L, modules[i].open);
		lua_call(L, 0, 1);
		if (lua_istable(L, -1))
			sandbox_seal(L, modules[i].name);
		if (modules[i].global) {
			lua_pushvalue(L, -1);
			lua_setglobal(L, modules[i].name);
		}
		lua_setfield(L, -2, modules[i].name);
	}
}

/*
 * The rest of Lua, for an unsafe script.  On top is the table of modules, which
 * is package.loaded, too; our require stays the first one to be asked.
 */
static void
open_rest(lua_State *L)
{
	size_t i;

	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushglobaltable(L);
	lua_setfield(L, -2, LUA_GNAME);
	for (i = 0; i < NELEMS(rest); i++) {
		luaL_requiref(L, rest[i].name, rest[i].func, 1);
		lua_pop(L, 1);
	}
	(void)lua_getglobal(L, "require");
	lua_setfield(L, LUA_REGISTRYINDEX, SANDBOX_REQUIRE);
	lua_pushcfunction(L, lrequire);
	lua_setglobal(L, "require");
}

int
sandbox_open(lua_State *L)
{
	static const luaL_Reg base[] = {
	    {"rawset", base_rawset},
	    {"setmetatable", base_setmetatable},
	    {"collectgarbage", base_collectgarbage},
	    {"xpcall", base_xpcall},
	    {"require", lrequire},
	    {"print", log_print},
	    {NULL, NULL},
	};
	int unsafe = vm_of(L)->limits.unsafe;

	luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
	drop(L, useless, NELEMS(useless));
	if (!unsafe)
		drop(L, banned, NELEMS(banned));
	luaL_setfuncs(L, base, 0);
	lua_pop(L, 1);

	convert_open(L);
	event_open(L);
	lask_open(L);
	open_null(L);
	lua_newtable(L);
	open_libraries(L);
	open_modules(L);
	if (unsafe)
		open_rest(L);
	lua_setfield(L, LUA_REGISTRYINDEX, SANDBOX_MODULES);
	protect_strings(L);

	/* package.loaded of luaL_requiref() holds the libraries unsealed; a
	 * script cannot reach the registry, and nothing else needs it. */
	if (unsafe)
		return 0;
	lua_pushnil(L);
	lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	return 0;
}
