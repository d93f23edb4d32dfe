/*
 * sentry: the client of Sentry's API.  For users: lua/meta/sentry.d.lua
 */

#include <lauxlib.h>
#include <lua.h>

#include "script/l_http.h"
#include "script/l_sentry.h"
#include "script/lmodule.h"
#include "script/sandbox.h"

extern const unsigned char embed_lua_moonpost_sentry_lua[];
extern const size_t embed_lua_moonpost_sentry_lua_len;

static void
add_core(lua_State *L)
{
	http_push_request(L, HTTP_TO_SENTRY);
	lua_setfield(L, -2, "request");
}

static const struct lmodule module = {
    .chunk = "=moonpost/sentry.lua",
    .source = embed_lua_moonpost_sentry_lua,
    .source_len = &embed_lua_moonpost_sentry_lua_len,
    .core = add_core,
};

static int
l_api(lua_State *L)
{
	return lmodule_call(L, &module, "api");
}

static int
l_install(lua_State *L)
{
	return lmodule_call(L, &module, "install");
}

static int
l_external_issue(lua_State *L)
{
	return lmodule_call(L, &module, "external_issue");
}

/* first(handler, event), with the handler as upvalue. */
static int
install_first(lua_State *L)
{
	lua_settop(L, 1);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	return lmodule_call(L, &module, "first");
}

void
sentry_install_first(lua_State *L)
{
	lua_pushcclosure(L, install_first, 1);
}

static const luaL_Reg sentry_funcs[] = {
    {"api", l_api},
    {"install", l_install},
    {"external_issue", l_external_issue},
    {NULL, NULL},
};

int
luaopen_moonpost_sentry(lua_State *L)
{
	luaL_newlib(L, sentry_funcs);
	return 1;
}
