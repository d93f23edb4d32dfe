/*
 * kv.  For users: lua/meta/kv.d.lua
 */

#include <lauxlib.h>
#include <lua.h>

#include "script/larg.h"
#include "script/lask.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

/* The key of ${arg}. */
static struct str
check_key(lua_State *L, int arg)
{
	return lask_check_text(L, arg, "a key of kv", PROTO_KEY_MAX);
}

/* options.ttl of ${arg}, or 0 if there is none. */
static uint64_t
check_ttl(lua_State *L, int arg)
{
	static const char *const names[] = {"ttl"};
	uint64_t ms = 0;

	larg_options(L, arg, names, NELEMS(names));
	if (lua_isnoneornil(L, arg))
		return 0;
	if (lua_getfield(L, arg, "ttl") != LUA_TNIL) {
		ms = larg_duration_ms(L, -1, "ttl");
		if (ms == 0)
			(void)luaL_error(L, "ttl must be more than 0");
	}
	lua_pop(L, 1);
	return ms;
}

/* Ask, whatever it is; the texts of ${m} are on the stack or in the scratch. */
static int
ask(lua_State *L, struct proto_kv *m, lua_KFunction k)
{
	struct vm_task *task = vm_task_check(L);
	struct lask *op = lask_push(L, task);
	struct buf *frame;
	uint64_t id;

	m->bundle = task->vm->script->bundle;
	frame = lask_frame(op, &id);
	proto_put_kv(frame, id, m);
	vm_trim(task->vm);
	return lask_wait(op, k);
}

static int
got(lua_State *L, int status, lua_KContext ctx)
{
	const struct proto_answer *answer = lask_take(L, ctx, "kv.get");

	(void)status;
	if (answer->found)
		lask_push_json(L, answer->json);
	else
		lua_pushnil(L);
	return 1;
}

/* kv.get(key) */
static int
l_get(lua_State *L)
{
	struct proto_kv m = {.what = PROTO_KV_GET, .key = check_key(L, 1)};

	return ask(L, &m, got);
}

/* What kv.set and kv.add have in common: key, value, options. */
static int
put(lua_State *L, enum proto_kv_kind what, const char *name, lua_KFunction k)
{
	struct proto_kv m = {.what = what, .key = check_key(L, 1)};

	luaL_checkany(L, 2);
	if (lua_isnil(L, 2))
		return luaL_error(L,
		    "%s: the value is nil: kv.delete takes a key away", name);
	m.ttl_ms = check_ttl(L, 3);
	/* Before the scratch is filled. */
	(void)vm_task_check(L);
	m.value_json = lask_encode(L, 2, name);
	return ask(L, &m, k);
}

static int
has_set(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)lask_take(L, ctx, "kv.set");
	lua_pushboolean(L, 1);
	return 1;
}

/* kv.set(key, value[, options]) */
static int
l_set(lua_State *L)
{
	return put(L, PROTO_KV_SET, "kv.set", has_set);
}

static int
has_added(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	lua_pushboolean(L, !lask_take(L, ctx, "kv.add")->found);
	return 1;
}

/* kv.add(key, value[, options]) */
static int
l_add(lua_State *L)
{
	return put(L, PROTO_KV_ADD, "kv.add", has_added);
}

static int
has_deleted(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	lua_pushboolean(L, lask_take(L, ctx, "kv.delete")->found);
	return 1;
}

/* kv.delete(key) */
static int
l_delete(lua_State *L)
{
	struct proto_kv m = {.what = PROTO_KV_DELETE, .key = check_key(L, 1)};

	return ask(L, &m, has_deleted);
}

static int
has_counted(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	lask_push_json(L, lask_take(L, ctx, "kv.incr")->json);
	return 1;
}

/* kv.incr(key[, by]) */
static int
l_incr(lua_State *L)
{
	struct proto_kv m = {.what = PROTO_KV_INCR, .key = check_key(L, 1)};

	m.by = luaL_optinteger(L, 2, 1);
	return ask(L, &m, has_counted);
}

static int
has_listed(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	lask_push_json(L, lask_take(L, ctx, "kv.list")->json);
	return 1;
}

/* kv.list([prefix]) */
static int
l_list(lua_State *L)
{
	struct proto_kv m = {.what = PROTO_KV_LIST};

	m.key.data = luaL_optlstring(L, 1, "", &m.key.len);
	if (m.key.len > PROTO_KEY_MAX)
		return luaL_error(L, "kv.list: the prefix is longer than a key "
				     "may be");
	return ask(L, &m, has_listed);
}

static const luaL_Reg kv_funcs[] = {
    {"get", l_get},
    {"set", l_set},
    {"add", l_add},
    {"delete", l_delete},
    {"incr", l_incr},
    {"list", l_list},
    {NULL, NULL},
};

int
luaopen_moonpost_kv(lua_State *L)
{
	luaL_newlib(L, kv_funcs);
	return 1;
}
