#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/compiler.h"
#include "base/str.h"

#include "script/bundle.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

/*
 * What SANDBOX_MODULES holds while a lib is being loaded: the number of the
 * task that does it.  A mark of another task is of one that was killed, as no
 * two can be at it: a lib's own code cannot wait.
 */
static void
push_mark(lua_State *L)
{
	const struct vm_task *task = vm_of(L)->running;
	uintptr_t serial = task == NULL ? 1 : (uintptr_t)task->serial;

	lua_pushlightuserdata(L, (void *)serial);
}

static const struct proto_lib *
find_lib(const struct vm_script *script, struct str name)
{
	size_t i;

	for (i = 0; i < script->nlibs; i++) {
		if (str_eq(script->libs[i].name, name))
			return &script->libs[i];
	}
	return NULL;
}

/* The folder of the script, with its slash; may be empty. */
static int
folder_len(const char *chunk)
{
	const char *slash = strrchr(chunk, '/');

	return slash == NULL ? 0 : (int)(slash + 1 - chunk);
}

/* Neither a module of ours nor in lib/. */
static int
not_found(lua_State *L, const char *name)
{
	const struct vm_script *script = vm_of(L)->script;

	/* Who has all of Lua's libraries has its search for files, too. */
	if (lua_getfield(L, LUA_REGISTRYINDEX, SANDBOX_REQUIRE) ==
	    LUA_TFUNCTION) {
		lua_pushvalue(L, 1);
		lua_call(L, 1, 1);
		return 1;
	}
	/* A configuration is no script. */
	if (script == NULL)
		return luaL_error(L,
		    "module '%s' not found: moonpost has none of that name, "
		    "and a configuration has no lib/",
		    name);
	return luaL_error(L,
	    "module '%s' not found: there is no %slib/%s.lua, and moonpost has "
	    "no module of that name",
	    name,
	    lua_pushlstring(
		L, script->chunk, (size_t)folder_len(script->chunk)),
	    name);
}

/*
 * A lib is being loaded that is wanted again: tell by whom, from its own main
 * chunk on, which is the outermost of that name that runs.
 */
static int
requires_itself(lua_State *L, const char *name)
{
	const struct vm_script *script = vm_of(L)->script;
	const int folder = folder_len(script->chunk);
	struct buf *chain = &vm_of(L)->scratch;
	struct str lib;
	const char *at;
	lua_Debug ar;
	int level = 0, met = 0;

	buf_reset(chain);
	while (lua_getstack(L, level, &ar))
		level++;
	while (--level >= 0 && lua_getstack(L, level, &ar)) {
		if (!lua_getinfo(L, "S", &ar) || strcmp(ar.what, "main") != 0 ||
		    strncmp(ar.source + 1, script->chunk, (size_t)folder) !=
			0 ||
		    strncmp(ar.source + 1 + folder, "lib/", 4) != 0)
			continue;
		at = ar.source + 1 + folder + 4;
		lib = (struct str){at, strlen(at) - strlen(".lua")};
		met |= str_eq(lib, str_of(name));
		if (met)
			buf_printf(chain, "%.*s -> ", (int)lib.len, lib.data);
	}
	buf_puts(chain, name);
	return luaL_error(
	    L, "lib '%s' requires itself: %s", name, buf_text(chain));
}

/* The error of a lib that does not compile is on top: add who wanted it. */
static int
cannot_compile(lua_State *L)
{
	luaL_where(L, 1);
	if (lua_rawlen(L, -1) <= 2) {
		lua_pop(L, 1);
		return lua_error(L);
	}
	/* "scripts/x.lua:1: " */
	lua_pushfstring(L, "%s (required by ", lua_tostring(L, -2));
	lua_pushlstring(L, lua_tostring(L, -2), (size_t)lua_rawlen(L, -2) - 2);
	lua_pushliteral(L, ")");
	lua_concat(L, 3);
	return lua_error(L);
}

/* The chunk of a lib has run.  Stack: name, modules, result or error. */
static int
loaded(lua_State *L, int status, lua_KContext ctx)
{
	struct vm *vm = vm_of(L);

	(void)ctx;
	if (vm->running != NULL)
		vm->running->loading--;
	if (status != LUA_OK && status != LUA_YIELD) {
		/* The next require tries again. */
		lua_pushnil(L);
		lua_setfield(L, 2, lua_tostring(L, 1));
		return vm_killing(L) ? vm_kill_on(L) : lua_error(L);
	}
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_pushboolean(L, 1);
	}
	lua_pushvalue(L, -1);
	lua_setfield(L, 2, lua_tostring(L, 1));
	return 1;
}

/* require(name): a module of ours, lib/NAME.lua, or what package finds. */
int
lrequire(lua_State *L)
{
	struct vm *vm = vm_of(L);
	const struct proto_lib *lib;
	const char *name, *chunk;
	size_t len;

	name = luaL_checklstring(L, 1, &len);
	lua_settop(L, 1);
	(void)lua_getfield(L, LUA_REGISTRYINDEX, SANDBOX_MODULES);
	(void)lua_getfield(L, 2, name);
	push_mark(L);
	if (lua_rawequal(L, -1, -2))
		return requires_itself(L, name);
	lua_pop(L, 1);
	if (!lua_isnil(L, -1) &&
	    !(lua_islightuserdata(L, -1) && lua_touserdata(L, -1) != NULL))
		return 1;
	lua_settop(L, 2);

	lib = vm->script == NULL
		  ? NULL
		  : find_lib(vm->script, (struct str){name, len});
	if (lib == NULL)
		return not_found(L, name);
	vm->script->required[lib - vm->script->libs] = 1;
	chunk = lua_pushfstring(L, "@%slib/%s.lua",
	    lua_pushlstring(
		L, vm->script->chunk, (size_t)folder_len(vm->script->chunk)),
	    name);
	if (bundle_compile(L, lib->source, chunk) != LUA_OK)
		return cannot_compile(L);
	lua_replace(L, 3);
	lua_settop(L, 3);
	push_mark(L);
	lua_setfield(L, 2, name);
	/* A lib's own code must not wait, as another run may want it now. */
	if (vm->running != NULL)
		vm->running->loading++;
	lua_pushvalue(L, 1);
	return loaded(L, lua_pcallk(L, 1, 1, 0, 0, loaded), 0);
}
