/*
 * secret.  For users: lua/meta/secret.d.lua
 */

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "script/sandbox.h"
#include "script/vm_internal.h"

/* The registry's table of those that were asked for. */
static const char cache_key;

/* Whether ${name} is one that a script may ask for; else raise why not. */
static void
check_name(lua_State *L, const char *name, size_t len)
{
	const struct vm_script *script = vm_of(L)->script;
	size_t i;

	for (i = 0; i < len; i++) {
		if (name[i] >= 'A' && name[i] <= 'Z')
			continue;
		if (i > 0 &&
		    (name[i] == '_' || (name[i] >= '0' && name[i] <= '9')))
			continue;
		break;
	}
	if (len == 0 || i < len)
		(void)luaL_error(L,
		    "the name of a secret is capital letters, digits and _, "
		    "like \"JIRA_URL\", not \"%s\"",
		    name);
	if (strncmp(name, "MOONPOST_", 9) == 0 ||
	    strncmp(name, "SENTRY_CLIENT_", 14) == 0)
		(void)luaL_error(L, "the secret %s is the host's own", name);
	if (script != NULL && strcmp(script->integration, "default") == 0 &&
	    strstr(name, "__") != NULL)
		(void)luaL_error(L,
		    "the secret %s is another integration's: names with __ "
		    "are",
		    name);
}

/* How to set ${name}. */
static int
absent(lua_State *L, const char *name)
{
	const struct vm_script *script = vm_of(L)->script;

	if (vm_of(L)->host->clock != NULL)
		return luaL_error(L,
		    "no secret %s: give it to the script under test by "
		    "t:secret(\"%s\", value)",
		    name, name);
	if (script == NULL || strcmp(script->integration, "default") == 0)
		return luaL_error(L,
		    "no secret %s: set %s in the environment of moonpost, or "
		    "put it into the file %s of the folder that --secrets "
		    "names",
		    name, name, name);
	return luaL_error(L,
	    "no secret %s: set %s__%s in the environment of moonpost, or put "
	    "it into the file %s/%s of the folder that --secrets names",
	    name, script->integration, name, script->integration, name);
}

/* secret(name) */
static int
l_secret(lua_State *L)
{
	const struct vm *vm = vm_of(L);
	const char *name;
	char *value;
	size_t len;

	name = luaL_checklstring(L, 1, &len);
	lua_settop(L, 1);
	check_name(L, name, len);
	(void)lua_rawgetp(L, LUA_REGISTRYINDEX, &cache_key);
	lua_pushvalue(L, 1);
	if (lua_rawget(L, 2) == LUA_TSTRING)
		return 1;

	/* What may raise comes before there is anything to free. */
	luaL_checkstack(L, 4, NULL);
	value = vm->host->secret(vm->host->cookie,
	    vm->script == NULL ? 0 : vm->script->bundle, name);
	if (value == NULL)
		return absent(L, name);
	*(char **)lua_touserdata(L, lua_upvalueindex(1)) = value;
	lua_pushstring(L, value);
	*(char **)lua_touserdata(L, lua_upvalueindex(1)) = NULL;
	explicit_bzero(value, strlen(value));
	free(value);
	lua_pushvalue(L, 1);
	lua_pushvalue(L, -2);
	lua_rawset(L, 2);
	return 1;
}

/* The value that was on its way into Lua when memory ran out. */
static int
slot_gc(lua_State *L)
{
	char **slot = lua_touserdata(L, 1);

	free(*slot);
	*slot = NULL;
	return 0;
}

static const luaL_Reg secret_funcs[] = {
    {"secret", l_secret},
    {NULL, NULL},
};

int
luaopen_moonpost_secret(lua_State *L)
{
	char **slot;

	lua_newtable(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &cache_key);

	slot = lua_newuserdatauv(L, sizeof(*slot), 0);
	*slot = NULL;
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, slot_gc);
	lua_setfield(L, -2, "__gc");
	(void)lua_setmetatable(L, -2);
	lua_pushcclosure(L, secret_funcs[0].func, 1);
	return 1;
}
