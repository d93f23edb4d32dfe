#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <event2/event.h>
#include <lauxlib.h>
#include <lua.h>

#include "base/err.h"
#include "base/mem.h"
#include "script/declare.h"
#include "script/vm.h"

static struct proto_page page;
static struct proto_outcome outcome;

static int
declare(lua_State *L)
{
	lua_settop(L, 2);
	declare_add(L, luaL_checkstring(L, 1));
	return 0;
}

/* Run ${cookie} with a global declare(kind, data). */
static void
push(lua_State *L, void *cookie)
{
	lua_pushcfunction(L, declare);
	lua_setglobal(L, "declare");
	if (luaL_loadstring(L, cookie) != LUA_OK)
		(void)lua_error(L);
}

static void
done(void *cookie, const struct proto_outcome *o, int broke_memory)
{
	(void)cookie;
	(void)broke_memory;
	outcome = *o;
	outcome.error = mem_strdup(o->error);
	outcome.traceback = NULL;
}

/* What ${chunk} declares, for free(); or NULL, and ${err} or the outcome says
 * why. */
static char *
declared_by(const char *chunk, enum proto_activity activity, struct err *err)
{
	struct event_base *base = event_base_new();
	const struct vm_limits limits = {.mem_bytes = 16U << 20};
	const struct vm_host host = {.page = &page};
	const struct vm_script script = {.name = "a", .chunk = "scripts/a.lua"};
	struct vm_start start = {.activity = activity,
	    .what = "the main chunk",
	    .loading = 1,
	    .push = push,
	    .done = done,
	    .cookie = (void *)(uintptr_t)chunk};
	struct vm *vm = vm_create(base, &limits, &host, &script, err);
	char *json = NULL;

	cr_assert_not_null(vm, "%s", err->msg);
	proto_outcome_clear(&outcome);
	vm_start(vm, &start);
	if (outcome.result == PROTO_DONE && declare_take(vm, &json, err) == -1)
		json = NULL;
	vm_free(vm);
	event_base_free(base);
	return json;
}

Test(declare, gives_what_was_declared_by_kind)
{
	struct err err = ERR_INIT;
	char *json = declared_by("declare('tick', {name = 'a'}) "
				 "declare('tick', {name = 'b'})",
	    PROTO_IN_LOAD, &err);

	cr_assert_str_eq(
	    json, "{\"tick\":[{\"name\":\"a\"},{\"name\":\"b\"}]}");
	free(json);
	json = declared_by("declare('tick', {}) declare('form', {f = {1}})",
	    PROTO_IN_LOAD, &err);
	cr_assert_not_null(strstr(json, "\"tick\":[{}]"));
	cr_assert_not_null(strstr(json, "\"form\":[{\"f\":[1]}]"));
	free(json);
	proto_outcome_clear(&outcome);
}

Test(declare, nothing_is_null)
{
	struct err err = ERR_INIT;

	cr_assert_null(declared_by("x = 1", PROTO_IN_LOAD, &err));
	cr_assert_eq(err.code, ERR_NONE);
	proto_outcome_clear(&outcome);
}

Test(declare, only_while_the_script_loads)
{
	struct err err = ERR_INIT;

	cr_assert_null(declared_by("declare('tick', {})", PROTO_IN_RUN, &err));
	cr_assert_eq(outcome.result, PROTO_ERROR);
	cr_assert_not_null(strstr(
	    outcome.error, "tick can be called only while the script loads"));
	proto_outcome_clear(&outcome);
}

Test(declare, only_plain_data)
{
	struct err err = ERR_INIT;

	cr_assert_null(
	    declared_by("declare('tick', {fn = print})", PROTO_IN_LOAD, &err));
	cr_assert_eq(err.code, ERR_INVALID);
	cr_assert_not_null(strstr(err.msg, "tick"), "%s", err.msg);
	proto_outcome_clear(&outcome);
}

Test(declare, not_too_much)
{
	struct err err = ERR_INIT;

	cr_assert_null(declared_by(
	    "declare('tick', {s = ('x'):rep(1 << 21)})", PROTO_IN_LOAD, &err));
	cr_assert_eq(err.code, ERR_TOO_LARGE);
	proto_outcome_clear(&outcome);
}
