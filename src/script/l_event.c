/*
 * The event that a handler gets.  For users: lua/meta/event.d.lua
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#include "script/convert.h"
#include "script/hold.h"
#include "script/l_event.h"
#include "script/larg.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

/* Metatables, in the registry. */
#define EVENT_META "moonpost.event"
#define HEADERS_META "moonpost.event.headers"

#define TIMESTAMP_HEADER "Sentry-Hook-Timestamp"

/* A script has no use for these, and should not log them. */
static const char *const hidden_headers[] = {
    "Sentry-Hook-Signature", "Sentry-App-Signature", "Authorization", "Cookie"};

/* The first argument must be the event of the delivery that runs. */
static void
check_event(lua_State *L)
{
	struct vm_task *task = vm_of(L)->running;

	luaL_checktype(L, 1, LUA_TTABLE);
	if (luaL_getmetafield(L, 1, "__name") == LUA_TNIL ||
	    strcmp(lua_tostring(L, -1), EVENT_META) != 0)
		(void)luaL_argerror(
		    L, 1, "call it with a colon: event:retry(), event:drop()");
	if (task != NULL && task->event_ref != LUA_NOREF) {
		(void)lua_rawgeti(L, LUA_REGISTRYINDEX, task->event_ref);
		if (lua_rawequal(L, 1, -1)) {
			lua_pop(L, 2);
			return;
		}
	}
	(void)luaL_error(L, "use of a finished delivery");
}

/* The text at ${idx}, if there is one, is why the run ends. */
static void
take_reason(lua_State *L, int idx)
{
	struct vm *vm = vm_of(L);
	const char *reason;
	size_t len;

	free(vm->reason);
	vm->reason = NULL;
	if (lua_isnoneornil(L, idx))
		return;
	reason = luaL_tolstring(L, idx, &len);
	free(vm->reason);
	vm->reason = vm_cut_text(reason, len);
}

/* event:retry{after = seconds, reason = text} */
static int
l_retry(lua_State *L)
{
	static const char *const names[] = {"after", "reason"};
	struct vm *vm = vm_of(L);
	uint64_t after_ms = UINT64_MAX;

	check_event(L);
	lua_settop(L, 2);
	if (vm->closing || vm_killing(L))
		return vm_kill_on(L);
	larg_options(L, 2, names, NELEMS(names));
	if (lua_istable(L, 2)) {
		lua_pushliteral(L, "after");
		if (lua_rawget(L, 2) != LUA_TNIL)
			after_ms = larg_duration_ms(L, -1, "after");
		lua_pushliteral(L, "reason");
		(void)lua_rawget(L, 2);
	} else {
		lua_pushnil(L);
	}
	take_reason(L, lua_gettop(L));
	vm->after_ms = after_ms;
	return vm_kill(L, VM_KILL_RETRY);
}

/* event:drop([reason]) */
static int
l_drop(lua_State *L)
{
	check_event(L);
	if (vm_of(L)->closing || vm_killing(L))
		return vm_kill_on(L);
	take_reason(L, 2);
	return vm_kill(L, VM_KILL_DROP);
}

/* headers[name], whatever its letters' case. */
static int
headers_index(lua_State *L)
{
	const char *name;
	size_t len, keylen;
	const char *key;

	if (lua_type(L, 2) != LUA_TSTRING)
		return 0;
	name = lua_tolstring(L, 2, &len);
	lua_settop(L, 2);
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		if (lua_type(L, -2) == LUA_TSTRING) {
			key = lua_tolstring(L, -2, &keylen);
			if (str_eq_nocase((struct str){key, keylen},
				(struct str){name, len}))
				return 1;
		}
		lua_pop(L, 1);
	}
	return 0;
}

void
event_open(lua_State *L)
{
	static const luaL_Reg event_funcs[] = {
	    {"retry", l_retry},
	    {"drop", l_drop},
	    {NULL, NULL},
	};

	(void)luaL_newmetatable(L, EVENT_META);
	luaL_newlib(L, event_funcs);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);

	(void)luaL_newmetatable(L, HEADERS_META);
	lua_pushcfunction(L, headers_index);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}

static void
set_text(lua_State *L, const char *key, const char *value)
{
	if (value == NULL)
		return;
	lua_pushstring(L, value);
	lua_setfield(L, -2, key);
}

/* Parse ${json} and push it; ${what} is for the message. */
static void
push_json(lua_State *L, struct str json, const char *what)
{
	struct err err = ERR_INIT;

	if (hold_json(L, json, NULL, &err) == -1)
		(void)luaL_error(
		    L, "the %s of the delivery: %s", what, err.msg);
}

static void
push_headers(lua_State *L, const struct proto_run *run)
{
	size_t i;

	if (run->headers_json.len > 0)
		push_json(L, run->headers_json, "headers");
	else
		lua_newtable(L);
	if (!lua_istable(L, -1))
		(void)luaL_error(L, "the headers of the delivery: no object");
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		lua_pop(L, 1);
		for (i = 0; i < NELEMS(hidden_headers); i++) {
			if (lua_type(L, -1) == LUA_TSTRING &&
			    strcasecmp(
				lua_tostring(L, -1), hidden_headers[i]) == 0) {
				/* Clearing is allowed while going through. */
				lua_pushvalue(L, -1);
				lua_pushnil(L);
				lua_rawset(L, -4);
				break;
			}
		}
	}
	luaL_setmetatable(L, HEADERS_META);
}

/* event.timestamp: when Sentry sent it, in seconds, if it says so.  The headers
 * are on top. */
static void
push_timestamp(lua_State *L)
{
	const char *text;
	uint64_t ms;
	size_t len;

	if (lua_getfield(L, -1, TIMESTAMP_HEADER) != LUA_TSTRING) {
		lua_pop(L, 1);
		lua_pushnil(L);
		return;
	}
	text = lua_tolstring(L, -1, &len);
	if (clock_parse_rfc3339(text, len, &ms) == 0)
		lua_pushnumber(L, (lua_Number)ms / 1000);
	else if (lua_stringtonumber(L, text) == 0)
		lua_pushnil(L);
	lua_remove(L, -2);
}

/* The event is below the payload, which is on top: copy a member of it. */
static void
copy_member(lua_State *L, const char *key, int fallback)
{
	if (lua_istable(L, -1))
		(void)lua_getfield(L, -1, key);
	else
		lua_pushnil(L); /* A body need not be an object. */
	if (lua_isnil(L, -1) && fallback) {
		lua_pop(L, 1);
		lua_newtable(L);
	}
	lua_setfield(L, -3, key);
}

/* event.error: the error event's object, whether it came as data.error or as
 * data.event.  The event is on top. */
static void
set_error(lua_State *L)
{
	static const char *const keys[] = {"error", "event"};
	size_t i;

	if (lua_getfield(L, -1, "data") == LUA_TTABLE) {
		for (i = 0; i < NELEMS(keys); i++) {
			if (lua_getfield(L, -1, keys[i]) == LUA_TTABLE) {
				lua_setfield(L, -3, "error");
				break;
			}
			lua_pop(L, 1);
		}
	}
	lua_pop(L, 1);
}

void
event_push(lua_State *L, const struct proto_run *run)
{
	struct vm_task *task = vm_of(L)->running;

	luaL_checkstack(L, LUA_MINSTACK, NULL);
	lua_createtable(L, 0, 20);
	push_json(L, run->body, "body");
	copy_member(L, "data", 1);
	copy_member(L, "actor", 0);
	copy_member(L, "installation", 0);
	if (run->action == NULL)
		copy_member(L, "action", 0);
	lua_setfield(L, -2, "payload");
	set_error(L);

	set_text(L, "id", run->delivery);
	set_text(L, "integration", run->integration);
	set_text(L, "resource", run->resource);
	set_text(L, "channel", run->channel);
	set_text(L, "action", run->action);
	set_text(L, "request_id", run->request_id);
	lua_pushnumber(L, (lua_Number)run->received_unix_ms / 1000);
	lua_setfield(L, -2, "received_at");
	lua_pushinteger(L, (lua_Integer)run->attempt);
	lua_setfield(L, -2, "attempt");
	push_headers(L, run);
	push_timestamp(L);
	lua_setfield(L, -3, "timestamp");
	lua_setfield(L, -2, "headers");
	if (run->warnings_json.len > 0) {
		push_json(L, run->warnings_json, "warnings");
	} else {
		lua_newtable(L);
		convert_mark_array(L);
	}
	lua_setfield(L, -2, "warnings");
	luaL_setmetatable(L, EVENT_META);

	/* By this, methods know that it is theirs. */
	lua_pushvalue(L, -1);
	task->event_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
