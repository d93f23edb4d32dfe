/*
 * oauth: OAuth 2 with any server.  For users: lua/meta/oauth.d.lua
 */

#include <lauxlib.h>
#include <lua.h>

#include "script/l_http.h"
#include "script/lmodule.h"
#include "script/sandbox.h"

extern const unsigned char embed_lua_moonpost_oauth_lua[];
extern const size_t embed_lua_moonpost_oauth_lua_len;

static void
add_core(lua_State *L)
{
	http_push_request(L, HTTP_TO_SENTRY | HTTP_FRESH);
	lua_setfield(L, -2, "to_sentry");
	http_push_request(L, HTTP_FRESH);
	lua_setfield(L, -2, "fresh");
}

static const struct lmodule module = {
    .chunk = "=moonpost/oauth.lua",
    .source = embed_lua_moonpost_oauth_lua,
    .source_len = &embed_lua_moonpost_oauth_lua_len,
    .core = add_core,
};

static int
l_exchange(lua_State *L)
{
	return lmodule_call(L, &module, "exchange");
}

static int
l_refresh(lua_State *L)
{
	return lmodule_call(L, &module, "refresh");
}

static int
l_authorize_url(lua_State *L)
{
	return lmodule_call(L, &module, "authorize_url");
}

static int
l_pkce(lua_State *L)
{
	return lmodule_call(L, &module, "pkce");
}

static int
l_device_start(lua_State *L)
{
	return lmodule_call(L, &module, "device_start");
}

static int
l_device_poll(lua_State *L)
{
	return lmodule_call(L, &module, "device_poll");
}

static const luaL_Reg oauth_funcs[] = {
    {"exchange", l_exchange},
    {"refresh", l_refresh},
    {"authorize_url", l_authorize_url},
    {"pkce", l_pkce},
    {"device_start", l_device_start},
    {"device_poll", l_device_poll},
    {NULL, NULL},
};

int
luaopen_moonpost_oauth(lua_State *L)
{
	luaL_newlib(L, oauth_funcs);
	return 1;
}
