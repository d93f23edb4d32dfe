#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/err.h"
#include "base/str.h"

#include "script/larg.h"

/* No duration is longer: a year. */
#define MAX_DURATION_S (366.0 * 24 * 3600)

uint64_t
larg_duration_ms(lua_State *L, int idx, const char *what)
{
	struct err err = ERR_INIT;
	struct str s;
	lua_Number seconds;
	uint64_t ms;

	if (lua_type(L, idx) == LUA_TSTRING) {
		s.data = lua_tolstring(L, idx, &s.len);
		if (str_parse_duration(s, &ms, &err) == 0 &&
		    ms <= (uint64_t)(MAX_DURATION_S * 1000))
			return ms;
	} else if (lua_type(L, idx) == LUA_TNUMBER) {
		seconds = lua_tonumber(L, idx);
		/* Written so that NaN fails too. */
		if (seconds >= 0 && seconds <= MAX_DURATION_S)
			return (uint64_t)(seconds * 1000 + 0.5);
	}
	(void)luaL_error(L,
	    "%s must be seconds or text like \"500ms\", \"2s\", \"10m\", not "
	    "%s",
	    what,
	    lua_isstring(L, idx) ? lua_tostring(L, idx)
				 : luaL_typename(L, idx));
	return 0;
}

void
larg_options(lua_State *L, int idx, const char *const *names, size_t n)
{
	const char *key, *meant;
	size_t i;

	if (lua_isnoneornil(L, idx))
		return;
	luaL_checktype(L, idx, LUA_TTABLE);
	lua_pushnil(L);
	while (lua_next(L, idx)) {
		lua_pop(L, 1);
		key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1)
						     : "a position";
		for (i = 0; i < n && strcmp(key, names[i]) != 0; i++)
			;
		if (i < n)
			continue;
		meant = str_closest(key, names, n);
		if (meant != NULL)
			(void)luaL_error(L,
			    "unknown option '%s': did you mean '%s'?", key,
			    meant);
		else
			(void)luaL_error(L, "unknown option '%s'", key);
	}
}
