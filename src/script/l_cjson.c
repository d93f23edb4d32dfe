/*
 * lua-cjson, for scripts that require "cjson".  It knows nothing of the limits
 * of a script, so they are kept around it: its settings are frozen, and it is
 * called only for what fits.
 */

#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#include <lua-cjson.h>

#include "base/compiler.h"

#include "script/convert.h"
#include "script/hold.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

/* lua-cjson has this too, but its header does not say so. */
extern int luaopen_cjson_safe(lua_State *L);

/* As deep as lua-cjson goes with its settings. */
#define MAX_DEPTH 1000

/* Its buffer is kept up to that. */
#define BUFFER_KEEP 65536

/* When so much has been lost in this process, it is replaced. */
#define LOST_MAX (256U << 20)

/* Of a number, of a table, of an entry of it (with what fills a hole). */
#define NUMBER_LEN 32
#define TABLE_LEN 64
#define ENTRY_LEN 16

static size_t lost;

struct measure {
	lua_State *L;
	size_t len; /* So far; at least what cjson writes. */
	size_t max;
};

static void
measure_string(struct measure *m, int idx)
{
	size_t i, n;
	const char *s = lua_tolstring(m->L, idx, &n);

	m->len += n + 2;
	for (i = 0; i < n; i++) {
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F)
			m->len += 5;
		else if (s[i] == '"' || s[i] == '\\' || s[i] == '/')
			m->len++;
	}
}

/* Returns -1 if that is enough, or the slice is over. */
static int
measure_value(struct measure *m, int idx, int depth)
{
	lua_State *L = m->L;

	if (UNLIKELY(limits_expired) || m->len > m->max)
		return -1;
	switch (lua_type(L, idx)) {
	case LUA_TSTRING:
		measure_string(m, idx);
		return 0;
	case LUA_TTABLE:
		break;
	default:
		m->len += NUMBER_LEN;
		return 0;
	}
	m->len += TABLE_LEN;
	/* It complains by itself. */
	if (depth > MAX_DEPTH || !lua_checkstack(L, 4))
		return 0;
	lua_pushnil(L);
	while (lua_next(L, idx)) {
		m->len += ENTRY_LEN;
		if (lua_type(L, -2) == LUA_TSTRING)
			measure_string(m, lua_gettop(L) - 1);
		else
			m->len += NUMBER_LEN;
		if (measure_value(m, lua_gettop(L), depth + 1) == -1)
			return -1;
		lua_pop(L, 1);
	}
	return 0;
}

/* Have the buffer of the setter's module given back. */
static void
shrink(lua_State *L, int setter)
{
	int keep;

	for (keep = 0; keep <= 1; keep++) {
		lua_pushvalue(L, setter);
		lua_pushboolean(L, keep);
		lua_call(L, 1, 0);
	}
}

/* encode(value): upvalues are cjson's own and encode_keep_buffer. */
static int
l_encode(lua_State *L)
{
	struct measure m = {L, 0, 0};
	int status, top = lua_gettop(L);

	if (top == 1) {
		/* There are two of it for a moment, and the first one grew. */
		m.max = hold_room(vm_of(L)) / 3;
		if (measure_value(&m, 1, 1) == -1 && limits_expired)
			return vm_kill_cpu(L);
		lua_settop(L, top);
		if (m.len > m.max)
			hold_check(
			    L, m.len > SIZE_MAX / 3 ? SIZE_MAX : m.len * 3);
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	status = lua_pcall(L, top, LUA_MULTRET, 0);
	if (m.len > BUFFER_KEEP)
		shrink(L, lua_upvalueindex(2));
	return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/*
 * decode(text): when memory runs out in it, its own buffer is lost.  It counts
 * for as long as the state lives, so that this cannot be done often, and in the
 * end the process goes, at the cost of the script that brought it about.
 */
static int
l_decode(lua_State *L)
{
	struct vm *vm = vm_of(L);
	size_t len = 0;
	int status, top = lua_gettop(L);

	(void)lua_tolstring(L, 1, &len);
	hold_check(L, len * 2);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	status = lua_pcall(L, top, LUA_MULTRET, 0);
	if (status == LUA_OK)
		return lua_gettop(L);
	if (status == LUA_ERRMEM) {
		vm->mem_held += len;
		lost += len;
		if (lost > LOST_MAX) {
			(void)fputs("moonpost worker: cjson has lost too much "
				    "memory\n",
			    stderr);
			abort();
		}
	}
	return lua_error(L);
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

/* The module on top: put ${f} in the place of a function of it. */
static void
wrap(lua_State *L, const char *name, lua_CFunction f)
{
	(void)lua_getfield(L, -1, name);
	(void)lua_getfield(L, -2, "encode_keep_buffer");
	lua_pushcclosure(L, f, 2);
	lua_setfield(L, -2, name);
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
	wrap(L, "encode", l_encode);
	wrap(L, "decode", l_decode);
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
