/*
 * log, and print.  For users: lua/meta/log.d.lua
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/err.h"
#include "base/log.h"

#include "script/convert.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

/* What a run may say. */
#define MAX_LINES 1000
#define MAX_BYTES (256U << 10)

/* Fields of a line; more are left out. */
#define MAX_FIELDS 50

static void
send(struct vm *vm, enum log_level level, const char *message,
    struct proto_field *fields, size_t nfields)
{
	char script[200], text[PROTO_TEXT_MAX];
	struct proto_log log = {0};

	(void)snprintf(script, sizeof(script), "%s",
	    vm->script == NULL ? "" : vm->script->name);
	(void)snprintf(text, sizeof(text), "%s", message);
	log.level = (uint64_t)level;
	log.at_unix_ms = timer_unix_ms(vm);
	log.script = script;
	log.message = text;
	log.fields = fields;
	log.nfields = nfields;
	vm->host->log(
	    vm->host->cookie, vm->running == NULL ? 0 : vm->running->job, &log);
}

/*
 * Whether a line of ${len} bytes is within what the run may say; the first one
 * that is not is replaced by a remark.
 */
static int
within_limit(struct vm *vm, size_t len)
{
	struct vm_task *task = vm->running;

	if (task == NULL)
		return 1;
	if (task->log_lines > MAX_LINES)
		return 0;
	task->log_lines++;
	task->log_bytes += len;
	if (task->log_lines <= MAX_LINES && task->log_bytes <= MAX_BYTES)
		return 1;
	task->log_lines = MAX_LINES + 1;
	send(vm, LOG_WARN, PROTO_LOG_LIMIT, NULL, 0);
	return 0;
}

/* Append the key at -2 and the value at -1 of a table that is gone through. */
static void
put_field(lua_State *L, struct buf *out, size_t *ret_key_len)
{
	struct err err = ERR_INIT;
	size_t len, at = out->len;
	const char *key;

	if (lua_type(L, -2) == LUA_TSTRING) {
		key = lua_tolstring(L, -2, &len);
		buf_put(out, key, len);
	} else if (lua_isinteger(L, -2)) {
		buf_printf(out, "%lld", (long long)lua_tointeger(L, -2));
	} else {
		buf_puts(out, luaL_typename(L, -2));
	}
	*ret_key_len = out->len - at;
	at = out->len;
	if (convert_encode(L, -1, MAX_BYTES, out, &err) == -1) {
		/* Better a line with a remark than none. */
		out->len = at;
		str_put_json(out, str_of(err.msg));
	}
}

/* A Lua table has no order, and a person looks for the same one each time. */
static int
by_key(const void *a, const void *b)
{
	const struct proto_field *x = a, *y = b;
	size_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
	int c = n == 0 ? 0 : memcmp(x->key.data, y->key.data, n);

	return c != 0 ? c
		      : (x->key.len > y->key.len) - (x->key.len < y->key.len);
}

/* One line: message, fields. */
static int
say(lua_State *L, enum log_level level)
{
	struct {
		size_t key, key_len, json, json_len;
	} at[MAX_FIELDS];
	struct proto_field fields[MAX_FIELDS];
	struct vm *vm = vm_of(L);
	struct buf *out = &vm->scratch;
	const char *message;
	size_t i, len, n = 0;

	lua_settop(L, 2);
	if (!lua_isnil(L, 2))
		luaL_checktype(L, 2, LUA_TTABLE);
	if (level == LOG_DEBUG && !vm->limits.debug)
		return 0;
	message = luaL_tolstring(L, 1, &len);

	buf_reset(out);
	if (!lua_isnil(L, 2)) {
		lua_pushnil(L);
		while (
		    n < MAX_FIELDS && out->len <= MAX_BYTES && lua_next(L, 2)) {
			at[n].key = out->len;
			put_field(L, out, &at[n].key_len);
			at[n].json = at[n].key + at[n].key_len;
			at[n].json_len = out->len - at[n].json;
			lua_pop(L, 1);
			n++;
		}
	}
	len += out->len;
	if (!within_limit(vm, len)) {
		vm_trim(vm);
		return 0;
	}
	for (i = 0; i < n; i++) {
		fields[i].key =
		    (struct str){out->data + at[i].key, at[i].key_len};
		fields[i].json =
		    (struct str){out->data + at[i].json, at[i].json_len};
	}
	if (n > 1)
		qsort(fields, n, sizeof(fields[0]), by_key);
	send(vm, level, message, fields, n);
	vm_trim(vm);
	return 0;
}

/* log.debug(message [, fields]) */
static int
l_debug(lua_State *L)
{
	return say(L, LOG_DEBUG);
}

/* log.info(message [, fields]) */
static int
l_info(lua_State *L)
{
	return say(L, LOG_INFO);
}

/* log.warn(message [, fields]) */
static int
l_warn(lua_State *L)
{
	return say(L, LOG_WARN);
}

/* log.error(message [, fields]) */
static int
l_error(lua_State *L)
{
	return say(L, LOG_ERROR);
}

int
log_print(lua_State *L)
{
	luaL_Buffer b;
	int i, n = lua_gettop(L);

	luaL_buffinit(L, &b);
	for (i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&b, '\t');
		(void)luaL_tolstring(L, i, NULL);
		luaL_addvalue(&b);
	}
	luaL_pushresult(&b);
	lua_replace(L, 1);
	lua_settop(L, 1);
	return say(L, LOG_INFO);
}

static const luaL_Reg log_funcs[] = {
    {"debug", l_debug},
    {"info", l_info},
    {"warn", l_warn},
    {"error", l_error},
    {NULL, NULL},
};

int
luaopen_moonpost_log(lua_State *L)
{
	luaL_newlib(L, log_funcs);
	return 1;
}
