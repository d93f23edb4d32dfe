/*
 * http: requests to elsewhere.  Documented in lua/meta/http.d.lua.
 */

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "net/fetch.h"

#include "script/hold.h"
#include "script/http_request.h"
#include "script/l_http.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

#define HTTP_OP "moonpost.http.op"
#define HTTP_RESPONSE "moonpost.http.response"
#define HTTP_HEADERS "moonpost.http.headers"

/* As many requests may go out by one http.all. */
#define ALL_MAX 1000

/* The first pause between retries; the next ones are twice as long each. */
#define RETRY_FIRST_MS 500

/* One of the requests of an operation. */
struct http_call {
	struct http_op *op;
	struct http_request request;
	struct fetch_call *fetch; /* While it is out. */
	struct timer pause;       /* Until it is tried again. */
	unsigned int attempt;
	uint64_t begun_mono_ms; /* The attempt. */
	struct fetch_result result;
	size_t held;         /* Of the answer, against the script's cap. */
	size_t held_request; /* The same of what is sent. */
};

/* What a coroutine waits for: one request, or all of http.all. */
struct http_op {
	struct vm *vm;        /* Borrowed. */
	int broke_memory;     /* An answer was too much. */
	struct vm_task *task; /* Borrowed; valid while one is pending. */
	int all;
	int flags; /* HTTP_TO_SENTRY, HTTP_FRESH */
	size_t ncalls;
	size_t pending;
	struct http_call calls[];
};

static void
result_clear(struct http_call *call)
{
	buf_free(&call->result.headers);
	buf_free(&call->result.body);
	call->result = (struct fetch_result){0};
	hold_drop(call->op->vm, call->held);
	call->held = 0;
}

/* The answer takes more memory. */
static int
on_more(void *cookie, size_t bytes)
{
	struct http_call *call = cookie;

	if (hold_add(call->op->vm, bytes) == -1) {
		call->op->broke_memory = 1;
		return -1;
	}
	call->held += bytes;
	return 0;
}

/* An attempt is over: tell the host, for the record of the run. */
static void
record(const struct http_call *call, unsigned int status, const char *error)
{
	const struct vm_task *task = call->op->task;
	const struct vm_host *host = task->vm->host;
	struct buf url = BUF_INIT;
	struct proto_call m = {
	    .method = str_of(call->request.method),
	    .status = status,
	    .duration_ms = timer_mono_ms(task->vm) - call->begun_mono_ms,
	    .error = str_of(error),
	};

	if (host->call == NULL || task->job == 0)
		return;
	http_put_url(&url, &call->request.url);
	m.url = (struct str){url.data, url.len};
	host->call(host->cookie, task->job, &m);
	buf_free(&url);
}

/* Close; also the cancel callback.  Harmless when closed already. */
static void
http_close(void *cookie)
{
	struct http_op *op = cookie;
	struct http_call *call;

	for (call = op->calls; call < op->calls + op->ncalls; call++) {
		if (call->fetch != NULL) {
			fetch_cancel(call->fetch);
			record(call, 0, "the run ended before the answer came");
		}
		timer_stop(&call->pause);
		call->fetch = NULL;
		http_request_clear(&call->request);
		result_clear(call);
		hold_drop(op->vm, call->held_request);
		call->held_request = 0;
	}
	op->ncalls = 0;
}

static int
http_gc(lua_State *L)
{
	http_close(luaL_checkudata(L, 1, HTTP_OP));
	return 0;
}

/* How long to wait before the request is tried again, or -1 if it is not: it
 * may not be, it would be of no use, or the peer asks for more time than the
 * run has. */
static int64_t
retry_pause(const struct http_call *call)
{
	const struct fetch_result *r = &call->result;
	int64_t pause;
	uint64_t ms;

	if (call->attempt > call->request.retries || !call->request.idempotent)
		return -1;
	if (r->err.code == ERR_NONE && r->status != 429 && r->status != 502 &&
	    r->status != 503 && r->status != 504)
		return -1;
	if (r->err.code == ERR_BLOCKED || r->err.code == ERR_TOO_LARGE ||
	    r->err.code == ERR_INVALID || r->err.code == ERR_UNAVAILABLE)
		return -1;
	pause =
	    http_retry_after_ms(&r->headers, timer_unix_ms(call->op->task->vm));
	if (pause == -1) {
		ms = (uint64_t)RETRY_FIRST_MS
		     << (call->attempt < 8 ? call->attempt - 1 : 7);
		pause =
		    (int64_t)(ms / 2 + (uint64_t)arc4random() % (ms / 2 + 1));
	}
	return (uint64_t)pause < vm_task_left_ms(call->op->task) ? pause : -1;
}

static int begin(struct http_call *call, struct err *err);

static void
finished(struct http_call *call)
{
	struct http_op *op = call->op;

	if (--op->pending == 0)
		vm_task_wake(op->task);
}

static void
pause_cb(void *cookie)
{
	struct http_call *call = cookie;

	result_clear(call);
	if (begin(call, &call->result.err) == -1)
		finished(call);
}

static void
on_done(void *cookie, struct fetch_result *result)
{
	struct http_call *call = cookie;
	int64_t pause;

	call->fetch = NULL;
	call->result = *result;
	/* The bufs are ours now. */
	result->headers = (struct buf)BUF_INIT;
	result->body = (struct buf)BUF_INIT;
	record(call, result->status,
	    result->err.code == ERR_NONE ? NULL : result->err.msg);

	pause = retry_pause(call);
	if (pause >= 0) {
		if (vm_task_timer(call->op->task, &call->pause, (uint64_t)pause,
			pause_cb, call) == 0)
			return;
	}
	finished(call);
}

/* Send a request, for the first time or again. */
static int
begin(struct http_call *call, struct err *err)
{
	const struct vm_host *host = call->op->task->vm->host;
	struct fetch_request request = {0};
	struct fetch *client;

	call->attempt++;
	call->begun_mono_ms = timer_mono_ms(call->op->task->vm);
	request.method = call->request.method;
	request.url = buf_text(&call->request.url);
	request.headers = (const char *const *)call->request.headers;
	request.nheaders = call->request.nheaders;
	if (call->request.has_body)
		request.body = (struct str){
		    buf_text(&call->request.body), call->request.body.len};
	request.timeout_ms = call->request.timeout_ms;
	request.max_bytes = call->request.max_bytes;
	request.redirects = call->request.redirects;
	request.fresh = (call->op->flags & HTTP_FRESH) != 0;
	request.body_stays = 1;
	request.more = on_more;
	request.done = on_done;
	request.cookie = call;
	client = host->fetch == NULL
		     ? NULL
		     : host->fetch(host->cookie,
			   (call->op->flags & HTTP_TO_SENTRY) != 0);
	if (client == NULL)
		return err_set(
		    err, ERR_UNAVAILABLE, "there is no network here");
	if (fetch_start(client, &request, &call->fetch, err) == 0)
		return 0;
	record(call, 0, err->msg);
	return -1;
}

/* headers[name], in any case. */
static int
headers_index(lua_State *L)
{
	size_t len, i;
	const char *name;
	luaL_Buffer b;
	char *to;

	if (lua_type(L, 2) != LUA_TSTRING)
		return 0;
	name = lua_tolstring(L, 2, &len);
	to = luaL_buffinitsize(L, &b, len);
	for (i = 0; i < len; i++)
		to[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32
								: name[i]);
	luaL_pushresultsize(&b, len);
	lua_rawget(L, 1);
	return 1;
}

/* Push the headers: lower-case names; what comes twice is joined by a comma. */
static void
push_headers(lua_State *L, const struct buf *headers)
{
	const char *line = buf_text(headers), *end, *colon;
	size_t i, n;
	luaL_Buffer b;
	char *to;

	lua_newtable(L);
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		colon = memchr(line, ':', (size_t)(end - line));
		if (colon == NULL)
			continue;
		n = (size_t)(colon - line);
		to = luaL_buffinitsize(L, &b, n);
		for (i = 0; i < n; i++)
			to[i] = (char)(line[i] >= 'A' && line[i] <= 'Z'
					   ? line[i] + 32
					   : line[i]);
		luaL_pushresultsize(&b, n);
		for (colon++; colon < end && *colon == ' '; colon++)
			;
		lua_pushvalue(L, -1);
		if (lua_rawget(L, -3) == LUA_TSTRING) {
			lua_pushliteral(L, ", ");
			lua_pushlstring(L, colon, (size_t)(end - colon));
			lua_concat(L, 3);
		} else {
			lua_pop(L, 1);
			lua_pushlstring(L, colon, (size_t)(end - colon));
		}
		lua_rawset(L, -3);
	}
	luaL_setmetatable(L, HTTP_HEADERS);
}

static void
push_response(lua_State *L, const struct fetch_result *result)
{
	lua_createtable(L, 0, 4);
	lua_pushinteger(L, (lua_Integer)result->status);
	lua_setfield(L, -2, "status");
	lua_pushboolean(L, result->status >= 200 && result->status < 300);
	lua_setfield(L, -2, "ok");
	lua_pushlstring(L, buf_text(&result->body), result->body.len);
	lua_setfield(L, -2, "body");
	push_headers(L, &result->headers);
	lua_setfield(L, -2, "headers");
	luaL_setmetatable(L, HTTP_RESPONSE);
}

/* Continuation: the answers, as Lua has them. */
static int
http_k(lua_State *L, int status, lua_KContext ctx)
{
	struct http_op *op = (struct http_op *)ctx;
	struct fetch_result *result;
	size_t i;
	int n = 1;

	(void)status;
	if (op->broke_memory) {
		http_close(op);
		return hold_refuse(L);
	}
	if (!op->all && op->calls[0].result.err.code != ERR_NONE) {
		result = &op->calls[0].result;
		lua_pushnil(L);
		lua_pushstring(L, result->err.msg);
		lua_pushstring(L, err_code_name(result->err.code));
		n = 3;
	} else if (!op->all) {
		push_response(L, &op->calls[0].result);
	} else {
		lua_createtable(L, (int)op->ncalls, 0);
		for (i = 0; i < op->ncalls; i++) {
			result = &op->calls[i].result;
			if (result->err.code == ERR_NONE) {
				push_response(L, result);
			} else {
				lua_createtable(L, 0, 2);
				lua_pushstring(L, result->err.msg);
				lua_setfield(L, -2, "error");
				lua_pushstring(
				    L, err_code_name(result->err.code));
				lua_setfield(L, -2, "code");
			}
			lua_rawseti(L, -2, (lua_Integer)i + 1);
			result_clear(&op->calls[i]);
		}
	}
	/* What they held in C is Lua's now. */
	http_close(op);
	return n;
}

/* Push an operation with room for ${n} requests, closed. */
static struct http_op *
push_op(lua_State *L, size_t n, int all)
{
	size_t size = sizeof(struct http_op) + n * sizeof(struct http_call), i;
	struct http_op *op = lua_newuserdatauv(L, size, 0);

	(void)memset(op, 0, size);
	op->vm = vm_of(L);
	op->all = all;
	op->ncalls = n;
	for (i = 0; i < n; i++)
		op->calls[i].op = op;
	luaL_setmetatable(L, HTTP_OP);
	return op;
}

/* Send all, and wait.  The operation is on the stack. */
static int
start(lua_State *L, struct http_op *op)
{
	struct err err = ERR_INIT;
	size_t i;

	op->task = vm_task_check(L);
	for (i = 0; i < op->ncalls; i++) {
		if (begin(&op->calls[i], &err) == -1) {
			http_close(op);
			return luaL_error(L, "http: %s", err.msg);
		}
		op->pending++;
	}
	return vm_task_wait(op->task, http_close, op, http_k);
}

/* Read the options of request ${i}, and count what it takes. */
static void
read_request(lua_State *L, struct http_op *op, size_t i, int options,
    const char *method, int url)
{
	struct http_call *call = &op->calls[i];
	size_t bytes;

	http_request_read(L, options, method, url, &call->request);
	bytes = call->request.bytes + FETCH_CALL_BYTES;
	hold_check_add(L, bytes);
	call->held_request = bytes;
}

/* http.get(url, options) and its like. */
static int
by_method(lua_State *L, const char *method)
{
	struct http_op *op;

	luaL_checkstring(L, 1);
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	(void)vm_task_check(L);
	op = push_op(L, 1, 0);
	read_request(L, op, 0, 2, method, 1);
	return start(L, op);
}

static int
l_get(lua_State *L)
{
	return by_method(L, "GET");
}

static int
l_post(lua_State *L)
{
	return by_method(L, "POST");
}

static int
l_put(lua_State *L)
{
	return by_method(L, "PUT");
}

static int
l_patch(lua_State *L)
{
	return by_method(L, "PATCH");
}

static int
l_delete(lua_State *L)
{
	return by_method(L, "DELETE");
}

/* http.request{method=, url=, ...} */
static int
l_request(lua_State *L)
{
	struct http_op *op;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	(void)vm_task_check(L);
	op = push_op(L, 1, 0);
	read_request(L, op, 0, 1, NULL, 0);
	return start(L, op);
}

/* request{method=, url=, ...}, with the flags as upvalue. */
static int
request_with_flags(lua_State *L)
{
	struct http_op *op;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	(void)vm_task_check(L);
	op = push_op(L, 1, 0);
	op->flags = (int)lua_tointeger(L, lua_upvalueindex(1));
	read_request(L, op, 0, 1, NULL, 0);
	return start(L, op);
}

void
http_push_request(lua_State *L, int flags)
{
	lua_pushinteger(L, flags);
	lua_pushcclosure(L, request_with_flags, 1);
}

/* http.all{ {...}, {...} } */
static int
l_all(lua_State *L)
{
	struct http_op *op;
	lua_Unsigned n, i;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	n = lua_rawlen(L, 1);
	luaL_argcheck(L, n <= ALL_MAX, 1, "more than 1000 requests");
	(void)vm_task_check(L);
	if (n == 0) {
		lua_newtable(L);
		return 1;
	}
	op = push_op(L, (size_t)n, 1);
	for (i = 0; i < n; i++) {
		if (lua_rawgeti(L, 1, (lua_Integer)i + 1) != LUA_TTABLE)
			return luaL_error(
			    L, "http.all: request %d is no table", (int)i + 1);
		read_request(L, op, i, lua_gettop(L), NULL, 0);
		lua_pop(L, 1);
	}
	return start(L, op);
}

/* res:json() */
static int
l_response_json(lua_State *L)
{
	struct err err = ERR_INIT;
	struct str body;
	size_t offset;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	if (lua_getfield(L, 1, "body") != LUA_TSTRING)
		return luaL_error(L, "res:json() of something without a body");
	body.data = lua_tolstring(L, -1, &body.len);
	if (hold_json(L, body, &offset, &err) == -1) {
		lua_pushnil(L);
		lua_pushstring(L, err.msg);
		lua_pushinteger(L, (lua_Integer)offset);
		return 3;
	}
	return 1;
}

static const luaL_Reg response_funcs[] = {
    {"json", l_response_json},
    {NULL, NULL},
};

static const luaL_Reg http_funcs[] = {
    {"get", l_get},
    {"post", l_post},
    {"put", l_put},
    {"patch", l_patch},
    {"delete", l_delete},
    {"request", l_request},
    {"all", l_all},
    {NULL, NULL},
};

int
luaopen_moonpost_http(lua_State *L)
{
	if (luaL_newmetatable(L, HTTP_OP)) {
		lua_pushcfunction(L, http_gc);
		lua_setfield(L, -2, "__gc");
	}
	if (luaL_newmetatable(L, HTTP_HEADERS)) {
		lua_pushcfunction(L, headers_index);
		lua_setfield(L, -2, "__index");
		lua_pushboolean(L, 0);
		lua_setfield(L, -2, "__metatable");
	}
	if (luaL_newmetatable(L, HTTP_RESPONSE)) {
		luaL_newlib(L, response_funcs);
		sandbox_seal(L, "an answer");
		lua_setfield(L, -2, "__index");
		lua_pushboolean(L, 0);
		lua_setfield(L, -2, "__metatable");
	}
	lua_pop(L, 3);
	luaL_newlib(L, http_funcs);
	return 1;
}
