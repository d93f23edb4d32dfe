#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "base/err.h"

#include "script/convert.h"
#include "script/declare.h"
#include "script/vm_internal.h"

/* Its address is the key in the registry: found without any allocation. */
static const char declared_key;

void
declare_check(lua_State *L, const char *what)
{
	const struct vm *vm = vm_of(L);

	if (vm->running == NULL || vm->running->activity != PROTO_IN_LOAD)
		(void)luaL_error(L,
		    "%s can be called only while the script loads: put it "
		    "outside of the handlers",
		    what);
}

void
declare_add(lua_State *L, const char *kind)
{
	declare_check(L, kind);
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &declared_key) != LUA_TTABLE) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, -1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &declared_key);
	}
	/* data, all */
	(void)luaL_getsubtable(L, -1, kind);
	lua_pushvalue(L, -3);
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
	lua_pop(L, 3);
}

int
declare_count_below(lua_State *L, const char *kind, lua_Unsigned max)
{
	lua_Unsigned n = 0;

	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &declared_key) == LUA_TTABLE) {
		if (lua_getfield(L, -1, kind) == LUA_TTABLE)
			n = lua_rawlen(L, -1);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return n < max;
}

int
declare_take(struct vm *vm, char **ret_json, struct err *err)
{
	lua_State *L = vm_state(vm);
	struct buf json = BUF_INIT;
	int rc = 0;

	/* Nothing in here can raise. */
	lua_settop(L, 0);
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &declared_key) == LUA_TTABLE)
		rc = convert_encode(L, 1, DECLARE_MAX, &json, err);
	lua_settop(L, 0);
	if (rc == 0 && json.len > DECLARE_MAX)
		rc = err_set(err, ERR_TOO_LARGE,
		    "more is declared than fits into %u bytes", DECLARE_MAX);
	if (rc == 0)
		*ret_json = json.len == 0 ? NULL : buf_take(&json);
	buf_free(&json);
	return rc;
}
