/*
 * alert_action, issue_link, stacktrace_link.  For users: lua/meta/ui.d.lua
 */

#include <lauxlib.h>
#include <lua.h>

#include "base/str.h"

#include "script/declare.h"
#include "script/l_ui.h"
#include "script/lask.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

extern const unsigned char embed_lua_moonpost_ui_lua[];
extern const size_t embed_lua_moonpost_ui_lua_len;

/* Embedded chunks are "=name": no frames of the script's own. */
#define CHUNK "=moonpost/ui.lua"

/* Their addresses are the keys in the registry: found without allocation. */
static const char module_key, fires_key;

/* Push what ui.lua returns; the scripts that have no component never load it.
 */
static void
push_module(lua_State *L)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &module_key) == LUA_TTABLE)
		return;
	lua_pop(L, 1);
	if (luaL_loadbufferx(L, (const char *)embed_lua_moonpost_ui_lua,
		embed_lua_moonpost_ui_lua_len, CHUNK, "t") != LUA_OK)
		(void)lua_error(L);
	lua_call(L, 0, 1);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
}

static int
declare(lua_State *L, const char *kind)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	declare_check(L, kind);
	push_module(L);
	(void)lua_getfield(L, 2, "declare");
	lua_pushstring(L, kind);
	lua_pushvalue(L, 1);
	lua_call(L, 2, 2);
	/* component, module, data, message */
	if (lua_isnil(L, 3))
		return luaL_error(L, "%s: %s", kind, lua_tostring(L, 4));
	lua_settop(L, 3);
	if (lua_getfield(L, 3, "fires") == LUA_TBOOLEAN &&
	    lua_toboolean(L, -1)) {
		lua_pushboolean(L, 1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &fires_key);
	}
	lua_settop(L, 3);
	declare_add(L, "ui");
	return 0;
}

static int
l_alert_action(lua_State *L)
{
	return declare(L, "alert_action");
}

static int
l_issue_link(lua_State *L)
{
	return declare(L, "issue_link");
}

static int
l_stacktrace_link(lua_State *L)
{
	return declare(L, "stacktrace_link");
}

int
ui_fires(struct vm *vm)
{
	lua_State *L = vm_state(vm);
	int fires;

	fires = lua_rawgetp(L, LUA_REGISTRYINDEX, &fires_key) == LUA_TBOOLEAN;
	lua_pop(L, 1);
	return fires;
}

int
ui_push_fire(lua_State *L)
{
	if (!ui_fires(vm_of(L)))
		return 0;
	push_module(L);
	(void)lua_getfield(L, -1, "fire");
	lua_remove(L, -2);
	return 1;
}

void
ui_push_handle(lua_State *L, const char *route, struct str request)
{
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	push_module(L);
	(void)lua_getfield(L, -1, "handle");
	lua_remove(L, -2);
	lua_pushstring(L, route);
	lask_push_json(L, request);
}

static const luaL_Reg ui_funcs[] = {
    {"alert_action", l_alert_action},
    {"issue_link", l_issue_link},
    {"stacktrace_link", l_stacktrace_link},
    {NULL, NULL},
};

int
luaopen_moonpost_alert_action(lua_State *L)
{
	lua_pushcfunction(L, ui_funcs[0].func);
	return 1;
}

int
luaopen_moonpost_issue_link(lua_State *L)
{
	lua_pushcfunction(L, ui_funcs[1].func);
	return 1;
}

int
luaopen_moonpost_stacktrace_link(lua_State *L)
{
	lua_pushcfunction(L, ui_funcs[2].func);
	return 1;
}
