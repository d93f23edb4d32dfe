/*
 * step.  For users: lua/meta/step.d.lua
 */

#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "base/ipc.h"
#include "base/str.h"
#include "crypto/signature.h"

#include "script/l_step.h"
#include "script/lask.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

#define STEP_GUARD "moonpost.step.guard"

/* Digits of an idempotency key: 128 bits are enough for ever. */
#define KEY_LEN 32

/*
 * The stack of a step that runs; what the function returned is above.  The
 * table of steps holds under a name: text, recorded by an earlier attempt, in
 * JSON; or true, used by this one.
 */
enum slot {
	SLOT_NAME = 1,
	SLOT_FUNCTION,
	SLOT_STEPS,
	SLOT_GUARD, /* To be closed: gives the name back if that fails. */
	SLOT_RESULT,
	SLOT_MESSAGE, /* The second value of nil, message. */
};

void
step_begin(lua_State *L, const struct proto_run *run)
{
	struct vm_task *task = vm_of(L)->running;
	const char *const parts[] = {run->integration, run->delivery,
	    run->request_id, task->vm->script->name, run->handler};
	size_t i;

	/* Deliveries are numbered anew in every data folder, so that when it
	 * came belongs to it, too. */
	for (i = 0; i < NELEMS(parts); i++)
		pack_text(&task->identity, parts[i]);
	pack_u64(&task->identity, run->received_unix_ms);

	luaL_checkstack(L, 4, NULL);
	lua_createtable(L, 0, (int)run->nsteps);
	for (i = 0; i < run->nsteps; i++) {
		lua_pushlstring(
		    L, run->steps[i].name.data, run->steps[i].name.len);
		lua_pushlstring(L, run->steps[i].result_json.data,
		    run->steps[i].result_json.len);
		lua_rawset(L, -3);
	}
	task->nsteps = run->nsteps;
	task->steps_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Push the idempotency key of step ${name}: the same on every attempt. */
static void
push_key(lua_State *L, const struct vm_task *task, struct str name)
{
	static const char key[] = "moonpost idempotency key";
	struct signature_key *hmac = signature_key_create(key, sizeof(key) - 1);
	struct buf *text = &task->vm->scratch;
	char hex[SIGNATURE_HEX + 1];

	buf_reset(text);
	buf_put(text, task->identity.data, task->identity.len);
	pack_str(text, name);
	signature_sign(hmac, text->data, text->len, hex);
	signature_key_free(hmac);
	lua_pushlstring(L, hex, KEY_LEN);
}

/* The step has not come about: its name may be used again. */
static int
guard_close(lua_State *L)
{
	/* Its argument is the error, or nil after a success. */
	if (lua_isnil(L, 2))
		return 0;
	(void)lua_getiuservalue(L, 1, 1);
	(void)lua_getiuservalue(L, 1, 2);
	lua_pushnil(L);
	lua_rawset(L, -3);
	return 0;
}

/* Push the value of a recorded result.  A null comes back as nil. */
static void
push_result(lua_State *L, int idx)
{
	struct str json;

	json.data = lua_tolstring(L, idx, &json.len);
	if (str_eq(json, STR("null")))
		lua_pushnil(L);
	else
		lask_push_json(L, json);
}

/* "step 'jira'", for messages; on the stack. */
static const char *
push_what(lua_State *L)
{
	return lua_pushfstring(L, "step '%s'", lua_tostring(L, SLOT_NAME));
}

/* It is durable: what later attempts will see is what this one sees. */
static int
step_recorded(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)lask_take(L, ctx, push_what(L));
	vm_task_of(L)->nsteps++;
	push_result(L, SLOT_RESULT);
	return 1;
}

/* The function has returned: have the host record it. */
static int
step_returned(lua_State *L, int status, lua_KContext ctx)
{
	struct vm_task *task = vm_task_of(L);
	struct proto_step_put m = {.job = task->job};
	const char *what;
	struct lask *ask;
	struct buf *frame;
	uint64_t id;

	(void)status;
	(void)ctx;
	what = push_what(L);
	/* `return http.post(...)` that failed must not become a success. */
	if (lua_isnil(L, SLOT_RESULT) &&
	    lua_type(L, SLOT_MESSAGE) == LUA_TSTRING)
		return luaL_error(L, "%s: its function returned nil and: %s",
		    what, lua_tostring(L, SLOT_MESSAGE));
	m.result_json = lask_encode(L, SLOT_RESULT, what);
	lua_pushlstring(L, m.result_json.data, m.result_json.len);
	lua_replace(L, SLOT_RESULT);
	lua_settop(L, SLOT_RESULT);
	vm_trim(task->vm);

	ask = lask_push(L, task);
	m.name.data = lua_tolstring(L, SLOT_NAME, &m.name.len);
	m.result_json.data = lua_tolstring(L, SLOT_RESULT, &m.result_json.len);
	frame = lask_frame(ask, &id);
	proto_put_step(frame, id, &m);
	return lask_wait(ask, step_recorded);
}

/* What the table of steps has under the name, which is taken from now on. */
static int
take_name(lua_State *L, struct vm_task *task)
{
	int type;

	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, task->steps_ref);
	lua_pushvalue(L, SLOT_NAME);
	type = lua_rawget(L, SLOT_STEPS);
	if (type == LUA_TBOOLEAN)
		return luaL_error(L,
		    "%s was used before in this run: each needs a name of its "
		    "own",
		    push_what(L));
	if (type == LUA_TNIL && task->nsteps >= PROTO_STEPS_MAX)
		return luaL_error(L,
		    "%s is one too many: a job may record %d steps",
		    push_what(L), PROTO_STEPS_MAX);
	lua_pushvalue(L, SLOT_NAME);
	lua_pushboolean(L, 1);
	lua_rawset(L, SLOT_STEPS);
	return type;
}

/* step(name, function) */
static int
l_step(lua_State *L)
{
	struct vm_task *task;
	struct str name;

	luaL_checktype(L, 1, LUA_TSTRING);
	name = lask_check_text(L, 1, "the name of a step", PROTO_STEP_NAME_MAX);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	task = vm_task_check(L);
	if (task->steps_ref == LUA_NOREF)
		return luaL_error(
		    L, "only a handler of a delivery can have steps");
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	if (take_name(L, task) == LUA_TSTRING) {
		push_result(L, -1);
		return 1;
	}
	lua_settop(L, SLOT_STEPS);

	(void)lua_newuserdatauv(L, 0, 2);
	lua_pushvalue(L, SLOT_STEPS);
	(void)lua_setiuservalue(L, SLOT_GUARD, 1);
	lua_pushvalue(L, SLOT_NAME);
	(void)lua_setiuservalue(L, SLOT_GUARD, 2);
	luaL_setmetatable(L, STEP_GUARD);
	lua_toclose(L, SLOT_GUARD);

	lua_pushvalue(L, SLOT_FUNCTION);
	push_key(L, task, name);
	lua_callk(L, 1, 2, 0, step_returned);
	return step_returned(L, LUA_OK, 0);
}

static const luaL_Reg step_funcs[] = {
    {"step", l_step},
    {NULL, NULL},
};

int
luaopen_moonpost_step(lua_State *L)
{
	if (luaL_newmetatable(L, STEP_GUARD)) {
		lua_pushcfunction(L, guard_close);
		lua_setfield(L, -2, "__close");
	}
	lua_pop(L, 1);
	lua_pushcfunction(L, step_funcs[0].func);
	return 1;
}
