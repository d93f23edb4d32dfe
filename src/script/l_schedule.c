/*
 * schedule: functions that run by the clock.  When one is due is the host's
 * business.  For users: lua/meta/schedule.d.lua
 */

#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/err.h"
#include "base/str.h"
#include "schedule/plan.h"

#include "script/declare.h"
#include "script/l_schedule.h"
#include "script/larg.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

/* A script has no more of them. */
#define MAX_SCHEDULES 100

/* Its address is the key in the registry: name -> function. */
static const char functions_key;

/* A name is shown in lists and logs. */
static void
check_name(lua_State *L, const char *function)
{
	const char *name;
	size_t len, i, n;

	if (lua_type(L, 2) != LUA_TSTRING)
		(void)luaL_error(L,
		    "%s: the name must be text, like \"cleanup\", not %s",
		    function, luaL_typename(L, 2));
	name = lua_tolstring(L, 2, &len);
	if (len == 0 || len > PLAN_NAME_MAX)
		(void)luaL_error(
		    L, "%s: a name has 1 to %d bytes", function, PLAN_NAME_MAX);
	for (i = 0; i < len; i += n) {
		n = str_utf8_len(name + i, len - i);
		if (n == 0 || (unsigned char)name[i] < ' ' || name[i] == 127)
			(void)luaL_error(L,
			    "%s: a name is UTF-8 without control characters",
			    function);
	}
}

/* "scripts/x.lua:3" of the script's own code that called. */
static void
push_place(lua_State *L)
{
	lua_Debug ar;
	int level;

	for (level = 0; lua_getstack(L, level, &ar); level++) {
		if (lua_getinfo(L, "Sl", &ar) && ar.currentline > 0) {
			lua_pushfstring(
			    L, "%s:%d", ar.short_src, ar.currentline);
			return;
		}
	}
	lua_pushliteral(L, "?");
}

/* Keep the function under its name, which must be new. */
static void
keep_function(lua_State *L, const char *function)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &functions_key) != LUA_TTABLE) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, -1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &functions_key);
	}
	lua_pushvalue(L, 2);
	if (lua_rawget(L, -2) != LUA_TNIL)
		(void)luaL_error(L,
		    "%s: there is a schedule \"%s\" already in this script: "
		    "each needs a name of its own",
		    function, lua_tostring(L, 2));
	lua_pop(L, 1);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, 3);
	lua_rawset(L, -3);
	lua_pop(L, 1);
}

/* The option catch_up, which goes into the declaration on top. */
static void
set_catch_up(lua_State *L, const char *function)
{
	const char *value;

	if (lua_isnoneornil(L, 4) ||
	    lua_getfield(L, 4, "catch_up") == LUA_TNIL) {
		lua_settop(L, 5);
		return;
	}
	value = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
	if (strcmp(value, "once") != 0 && strcmp(value, "none") != 0)
		(void)luaL_error(L,
		    "%s: catch_up is \"once\" (the default) or \"none\"",
		    function);
	lua_setfield(L, 5, "catch_up");
}

/* Check what both have in common; leave the rule, the name, the function, the
 * options and the declaration on the stack. */
static void
begin(lua_State *L, const char *function, const char *const *options, size_t n)
{
	declare_check(L, function);
	lua_settop(L, 4);
	check_name(L, function);
	if (lua_type(L, 3) != LUA_TFUNCTION)
		(void)luaL_error(L,
		    "%s: what to run must be a function, not %s (rule, name, "
		    "function)",
		    function, luaL_typename(L, 3));
	if (!lua_isnil(L, 4) && !lua_istable(L, 4))
		(void)luaL_error(L, "%s: options are a table, not %s", function,
		    luaL_typename(L, 4));
	larg_options(L, 4, options, n);
	lua_createtable(L, 0, 5);
	set_catch_up(L, function);
	lua_pushvalue(L, 2);
	lua_setfield(L, 5, "name");
	push_place(L);
	lua_setfield(L, 5, "at");
}

/* The rule is in: declare it. */
static int
end(lua_State *L, const char *function)
{
	keep_function(L, function);
	lua_settop(L, 5);
	if (!declare_count_below(L, PLAN_KIND, MAX_SCHEDULES))
		return luaL_error(L, "%s: a script has at most %d schedules",
		    function, MAX_SCHEDULES);
	declare_add(L, PLAN_KIND);
	return 0;
}

/* schedule.every(interval, name, fn[, options]) */
static int
l_every(lua_State *L)
{
	static const char *const options[] = {"catch_up"};
	uint64_t ms;

	begin(L, "schedule.every", options, NELEMS(options));
	ms = larg_duration_ms(L, 1, "the interval of schedule.every");
	if (ms % 1000 != 0 || ms / 1000 < PLAN_EVERY_MIN_S ||
	    ms / 1000 > PLAN_EVERY_MAX_S)
		return luaL_error(L,
		    "the interval of schedule.every is whole seconds, at "
		    "least one and at most 366 days");
	lua_pushinteger(L, (lua_Integer)(ms / 1000));
	lua_setfield(L, 5, "every");
	return end(L, "schedule.every");
}

/* schedule.cron(expression, name, fn[, options]) */
static int
l_cron(lua_State *L)
{
	static const char *const options[] = {"tz", "catch_up"};
	struct err err = ERR_INIT;
	struct cron cron;
	struct str text;

	begin(L, "schedule.cron", options, NELEMS(options));
	if (lua_type(L, 1) != LUA_TSTRING)
		return luaL_error(L,
		    "schedule.cron: the expression is text, like \"0 9 * * "
		    "1-5\", not %s",
		    luaL_typename(L, 1));
	text.data = lua_tolstring(L, 1, &text.len);
	if (cron_parse(text, &cron, &err) == -1)
		return luaL_error(
		    L, "schedule.cron \"%s\": %s", text.data, err.msg);
	lua_pushvalue(L, 1);
	lua_setfield(L, 5, "cron");
	if (lua_istable(L, 4) && lua_getfield(L, 4, "tz") != LUA_TNIL) {
		/* Whether there is such a zone the host knows. */
		if (lua_type(L, -1) != LUA_TSTRING)
			return luaL_error(L,
			    "schedule.cron: tz is the name of a time zone, "
			    "like \"Europe/Vienna\"");
		lua_setfield(L, 5, "tz");
	}
	return end(L, "schedule.cron");
}

int
schedule_push(lua_State *L, const char *name)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &functions_key) != LUA_TTABLE) {
		lua_pop(L, 1);
		return 0;
	}
	lua_pushstring(L, name);
	(void)lua_rawget(L, -2);
	lua_remove(L, -2);
	if (lua_isfunction(L, -1))
		return 1;
	lua_pop(L, 1);
	return 0;
}

static const luaL_Reg schedule_funcs[] = {
    {"every", l_every},
    {"cron", l_cron},
    {NULL, NULL},
};

int
luaopen_moonpost_schedule(lua_State *L)
{
	luaL_newlib(L, schedule_funcs);
	return 1;
}
