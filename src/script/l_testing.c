/*
 * testing, for users: lua/meta/testing.d.lua.  What it does is written in Lua
 * (lua/moonpost/testing.lua); here is what it stands on, a table of functions
 * that nobody else gets.  Scripts are numbers in there, from 1.
 */

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"

#include "script/bundle.h"
#include "script/convert.h"
#include "script/lask.h"
#include "script/mock.h"
#include "script/sandbox.h"
#include "script/testrun.h"
#include "script/vm_internal.h"
#include "wire/tests.h"

/* The end of the year 9999. */
#define MAX_TIME_S 253402300800.0

/* The test waits for what one of its scripts brings. */
struct testrun_wait {
	struct testrun *run;
	struct vm_task *task; /* Borrowed; valid while run->wait is this. */
	struct mock *mock;
};

extern const unsigned char embed_lua_moonpost_testing_lua[];
extern const size_t embed_lua_moonpost_testing_lua_len;

static struct testrun *
run_of(lua_State *L)
{
	return lua_touserdata(L, lua_upvalueindex(1));
}

/* The script whose number is the first argument. */
static struct testrun_mock *
check_mock(lua_State *L)
{
	struct testrun *run = run_of(L);
	lua_Integer i = luaL_checkinteger(L, 1);

	luaL_argcheck(L, i >= 1 && (size_t)i <= run->nmocks, 1, "no script");
	return &run->mocks[i - 1];
}

static void
set_str(lua_State *L, const char *key, struct str s)
{
	if (s.data == NULL)
		return;
	lua_pushlstring(L, s.data, s.len);
	lua_setfield(L, -2, key);
}

static void
set_text(lua_State *L, const char *key, const char *s)
{
	if (s == NULL)
		return;
	lua_pushstring(L, s);
	lua_setfield(L, -2, key);
}

static void
set_integer(lua_State *L, const char *key, uint64_t n)
{
	lua_pushinteger(L, (lua_Integer)n);
	lua_setfield(L, -2, key);
}

static void
set_seconds(lua_State *L, const char *key, uint64_t ms)
{
	lua_pushnumber(L, (lua_Number)ms / 1000);
	lua_setfield(L, -2, key);
}

static struct str
str_field(lua_State *L, int idx, const char *key)
{
	struct str s = {NULL, 0};

	/* The table keeps the string. */
	if (lua_getfield(L, idx, key) == LUA_TSTRING)
		s.data = lua_tolstring(L, -1, &s.len);
	lua_pop(L, 1);
	return s;
}

static char *
text_field(lua_State *L, int idx, const char *key)
{
	/* The receiving side owns its texts, the sending side only reads. */
	return (char *)(uintptr_t)str_field(L, idx, key).data;
}

static uint64_t
integer_field(lua_State *L, int idx, const char *key)
{
	lua_Integer n;

	(void)lua_getfield(L, idx, key);
	n = lua_tointeger(L, -1);
	lua_pop(L, 1);
	return n < 0 ? 0 : (uint64_t)n;
}

/* scripts(): the names of those that can be loaded */
static int
core_scripts(lua_State *L)
{
	const struct proto_test *test = run_of(L)->test;
	size_t i;

	lua_createtable(L, (int)test->nscripts, 0);
	for (i = 0; i < test->nscripts; i++) {
		lua_pushlstring(
		    L, test->scripts[i].name.data, test->scripts[i].name.len);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

/* "scripts/NAME.lua" beside the test. */
static char *
chunk_of(const struct proto_test *test, const char *name)
{
	const char *slash = strrchr(test->chunk, '/');
	int n = slash == NULL ? 0 : (int)(slash + 1 - test->chunk);

	return mem_printf("%.*s%s.lua", n, test->chunk, name);
}

/* script(name [, source]): its number, or nil if there is none */
static int
core_script(lua_State *L)
{
	struct testrun *run = run_of(L);
	const struct proto_test *test = run->test;
	struct testrun_mock *slot = &run->mocks[run->nmocks];
	struct mock_options options = {.base = run->env->base,
	    .limits = &run->env->limits,
	    .clock = &run->clock,
	    .page = run->env->host.page};
	struct str name, source;
	size_t i;

	name.data = luaL_checklstring(L, 1, &name.len);
	source.data = luaL_optlstring(L, 2, NULL, &source.len);
	for (i = 0; source.data == NULL && i < test->nscripts; i++) {
		if (str_eq(test->scripts[i].name, name))
			source = test->scripts[i].source;
	}
	if (source.data == NULL) {
		lua_pushnil(L);
		return 1;
	}
	if (run->nmocks == TESTRUN_MOCKS_MAX)
		return luaL_error(L, "a test may load %d scripts, not more",
		    TESTRUN_MOCKS_MAX);

	/* Whatever else: it is the run's, which frees it. */
	slot->source = mem_printf("%s", name.data);
	slot->load = (struct proto_load){
	    .integration = (char *)(uintptr_t)run->script.integration,
	    .script = slot->source,
	    .chunk = chunk_of(test, name.data),
	    .source = source,
	    .libs = test->libs,
	    .nlibs = test->nlibs,
	};
	options.load = &slot->load;
	/* NAME_test.lua of an unsafe script opens the rest of Lua to that one,
	 * and to no other that it loads. */
	options.unsafe =
	    run->env->limits.unsafe && tests_are_of(test->name, name);
	slot->mock = mock_create(&options);
	run->nmocks++;
	/* The source may be the test's own text: keep that. */
	lua_pushvalue(L, 2);
	(void)luaL_ref(L, LUA_REGISTRYINDEX);
	lua_pushinteger(L, (lua_Integer)run->nmocks);
	return 1;
}

/* secret(script, name, value) */
static int
core_secret(lua_State *L)
{
	struct testrun_mock *mock = check_mock(L);

	mock_set_secret(
	    mock->mock, luaL_checkstring(L, 2), luaL_checkstring(L, 3));
	return 0;
}

/* load(script): have it loaded anew */
static int
core_load(lua_State *L)
{
	mock_load(check_mock(L)->mock);
	return 0;
}

/* steps = { {name=, result=JSON}, ... } */
static struct proto_step *
push_steps(lua_State *L, int idx, size_t *ret_n)
{
	struct proto_step *steps;
	size_t i, n;

	*ret_n = 0;
	if (lua_getfield(L, idx, "steps") != LUA_TTABLE)
		return NULL;
	n = (size_t)lua_rawlen(L, -1);
	steps = lua_newuserdatauv(L, (n + 1) * sizeof(*steps), 0);
	for (i = 0; i < n; i++) {
		(void)lua_rawgeti(L, -2, (lua_Integer)i + 1);
		luaL_checktype(L, -1, LUA_TTABLE);
		steps[i].name = str_field(L, lua_gettop(L), "name");
		steps[i].result_json = str_field(L, lua_gettop(L), "json");
		lua_pop(L, 1);
	}
	*ret_n = n;
	return steps;
}

/* run(script, job, {handler=, body=, ...}): begin a run of a handler */
static int
core_run(lua_State *L)
{
	struct testrun_mock *mock = check_mock(L);
	lua_Integer job = luaL_checkinteger(L, 2);
	struct proto_run run = {0};

	luaL_checktype(L, 3, LUA_TTABLE);
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	run.integration = mock->load.integration;
	run.handler = text_field(L, 3, "handler");
	run.delivery = text_field(L, 3, "delivery");
	run.resource = text_field(L, 3, "resource");
	run.channel = text_field(L, 3, "channel");
	run.action = text_field(L, 3, "action");
	run.request_id = text_field(L, 3, "request_id");
	run.received_unix_ms = integer_field(L, 3, "received_ms");
	run.attempt = integer_field(L, 3, "attempt");
	run.headers_json = str_field(L, 3, "headers");
	run.warnings_json = str_field(L, 3, "warnings");
	run.body = str_field(L, 3, "body");
	run.steps = push_steps(L, 3, &run.nsteps);
	proto_put_run(mock_in(mock->mock), (uint64_t)job, &run);
	return 0;
}

/* invoke(script, id, route, request JSON, deadline_ms): ask a UI component */
static int
core_invoke(lua_State *L)
{
	struct testrun_mock *mock = check_mock(L);
	lua_Integer id = luaL_checkinteger(L, 2);
	struct proto_invoke m = {0};

	/* The sending side only reads. */
	m.route = (char *)(uintptr_t)luaL_checkstring(L, 3);
	m.request_json.data = luaL_checklstring(L, 4, &m.request_json.len);
	m.deadline_ms = (uint64_t)luaL_checkinteger(L, 5);
	proto_put_invoke(mock_in(mock->mock), (uint64_t)id, &m);
	return 0;
}

static int
push_loaded(lua_State *L, struct testrun *run, struct str payload)
{
	struct proto_loaded *m = &run->loaded;
	size_t i;

	proto_loaded_clear(m);
	if (proto_get_loaded(payload, m) == -1)
		return luaL_error(L, "a damaged frame");
	lua_pushliteral(L, "loaded");
	lua_createtable(L, 0, 4);
	set_text(L, "error", m->error);
	set_text(L, "traceback", m->traceback);
	lua_createtable(L, (int)m->nhandlers, 0);
	for (i = 0; i < m->nhandlers; i++) {
		lua_pushboolean(L, 1);
		lua_setfield(L, -2, m->handlers[i]);
	}
	lua_setfield(L, -2, "handlers");
	if (m->declared != NULL)
		lask_push_json(L, str_of(m->declared));
	else
		lua_newtable(L);
	lua_setfield(L, -2, "declared");
	return 2;
}

static const char *const outcomes[] = {
    [PROTO_DONE] = "done",
    [PROTO_ERROR] = "error",
    [PROTO_RETRY] = "retry",
    [PROTO_DROPPED] = "dropped",
    [PROTO_GONE] = "unhandled",
};

static int
push_invoked(lua_State *L, struct testrun *run, struct str payload)
{
	struct proto_invoked *m = &run->invoked;

	proto_invoked_clear(m);
	if (proto_get_invoked(payload, m) == -1)
		return luaL_error(L, "a damaged frame");
	lua_pushliteral(L, "invoked");
	lua_createtable(L, 0, 5);
	set_text(L, "outcome", outcomes[m->outcome.result]);
	lua_pushboolean(L, m->outcome.late);
	lua_setfield(L, -2, "late");
	set_text(L, "error", m->outcome.error);
	set_text(L, "traceback", m->outcome.traceback);
	if (m->answer != NULL) {
		lask_push_json(L, str_of(m->answer));
		lua_setfield(L, -2, "answer");
	}
	return 2;
}

static int
push_outcome(lua_State *L, struct testrun *run, const struct ipc_frame *frame)
{
	struct proto_outcome *m = &run->outcome;

	proto_outcome_clear(m);
	if (proto_get_outcome(frame->payload, m) == -1)
		return luaL_error(L, "a damaged frame");
	lua_pushliteral(L, "outcome");
	lua_createtable(L, 0, 6);
	set_integer(L, "job", frame->id);
	set_text(L, "outcome", outcomes[m->result]);
	set_text(L, "error", m->error);
	set_text(L, "traceback", m->traceback);
	if (m->result == PROTO_RETRY && m->after_ms != UINT64_MAX)
		set_seconds(L, "after", m->after_ms);
	set_seconds(L, "duration", m->duration_ms);
	return 2;
}

static int
push_log(lua_State *L, struct testrun *run, const struct ipc_frame *frame)
{
	static const char *const levels[] = {
	    [LOG_DEBUG] = "debug",
	    [LOG_INFO] = "info",
	    [LOG_WARN] = "warn",
	    [LOG_ERROR] = "error",
	};
	struct proto_log *m = &run->log;
	size_t i;

	proto_log_clear(m);
	if (proto_get_log(frame->payload, m) == -1 ||
	    m->level >= NELEMS(levels))
		return luaL_error(L, "a damaged frame");
	lua_pushliteral(L, "log");
	lua_createtable(L, 0, 5);
	set_integer(L, "job", frame->id);
	set_text(L, "level", levels[m->level]);
	set_seconds(L, "at", m->at_unix_ms);
	set_text(L, "message", m->message);
	lua_createtable(L, 0, (int)m->nfields);
	for (i = 0; i < m->nfields; i++) {
		lua_pushlstring(L, m->fields[i].key.data, m->fields[i].key.len);
		lask_push_json(L, m->fields[i].json);
		lua_rawset(L, -3);
	}
	lua_setfield(L, -2, "fields");
	return 2;
}

static int
push_step(lua_State *L, const struct ipc_frame *frame)
{
	struct proto_step_put m;

	if (proto_get_step(frame->payload, &m) == -1)
		return luaL_error(L, "a damaged frame");
	lua_pushliteral(L, "step");
	lua_createtable(L, 0, 4);
	set_integer(L, "id", frame->id);
	set_integer(L, "job", m.job);
	set_str(L, "name", m.name);
	set_str(L, "json", m.result_json);
	return 2;
}

static int
push_kv(lua_State *L, const struct ipc_frame *frame)
{
	static const char *const names[] = {
	    [PROTO_KV_GET] = "get",
	    [PROTO_KV_SET] = "set",
	    [PROTO_KV_ADD] = "add",
	    [PROTO_KV_INCR] = "incr",
	    [PROTO_KV_DELETE] = "delete",
	    [PROTO_KV_LIST] = "list",
	};
	struct proto_kv m;

	if (proto_get_kv(frame->payload, &m) == -1)
		return luaL_error(L, "a damaged frame");
	lua_pushliteral(L, "kv");
	lua_createtable(L, 0, 6);
	set_integer(L, "id", frame->id);
	set_text(L, "what", names[m.what]);
	lua_pushlstring(L, m.key.data == NULL ? "" : m.key.data, m.key.len);
	lua_setfield(L, -2, "key");
	set_str(L, "json", m.value_json);
	lua_pushinteger(L, (lua_Integer)m.by);
	lua_setfield(L, -2, "by");
	set_integer(L, "ttl_ms", m.ttl_ms);
	return 2;
}

static int
push_ask(lua_State *L, const struct ipc_frame *frame)
{
	struct proto_ask m;

	if (proto_get_ask(frame->payload, &m) == -1)
		return luaL_error(L, "a damaged frame");
	lua_pushliteral(L, "ask");
	lua_createtable(L, 0, 4);
	set_integer(L, "id", frame->id);
	set_integer(L, "job", m.job);
	set_str(L, "topic", m.topic);
	if (m.args_json.len > 0) {
		lask_push_json(L, m.args_json);
		lua_setfield(L, -2, "args");
	}
	return 2;
}

static int
push_request(lua_State *L, const struct ipc_frame *frame)
{
	struct mock_request m;

	if (mock_get_request(frame->payload, &m) == -1)
		return luaL_error(L, "a damaged frame");
	lua_pushliteral(L, "request");
	lua_createtable(L, 0, 6);
	set_integer(L, "id", frame->id);
	set_str(L, "method", m.method);
	set_str(L, "url", m.url);
	set_str(L, "headers", m.headers);
	set_str(L, "body", m.body);
	set_seconds(L, "timeout", m.timeout_ms);
	return 2;
}

/* The next that the script brings, as a name and a table; "idle" if it is
 * nothing and will be nothing. */
static int
push_next(lua_State *L, struct testrun *run, struct mock *mock)
{
	struct ipc_frame frame;

	luaL_checkstack(L, LUA_MINSTACK, NULL);
	if (mock_next(mock, &frame) == -1) {
		lua_pushliteral(L, "idle");
		return 1;
	}
	switch (frame.type) {
	case PROTO_LOADED:
		return push_loaded(L, run, frame.payload);
	case PROTO_OUTCOME:
		return push_outcome(L, run, &frame);
	case PROTO_INVOKED:
		return push_invoked(L, run, frame.payload);
	case PROTO_LOG:
		return push_log(L, run, &frame);
	case PROTO_STEP:
		return push_step(L, &frame);
	case PROTO_KV:
		return push_kv(L, &frame);
	case PROTO_ASK:
		return push_ask(L, &frame);
	case MOCK_REQUEST:
		return push_request(L, &frame);
	default:
		return luaL_error(L, "a frame of type %d", (int)frame.type);
	}
}

static void
wait_cancel(void *cookie)
{
	struct testrun_wait *wait = cookie;

	if (wait->run->wait == wait)
		wait->run->wait = NULL;
}

static int
next_k(lua_State *L, int status, lua_KContext ctx)
{
	struct testrun_wait *wait = (struct testrun_wait *)ctx;

	(void)status;
	return push_next(L, wait->run, wait->mock);
}

void
testrun_wake(struct testrun *run)
{
	struct testrun_wait *wait = run->wait;

	run->wait = NULL;
	vm_task_wake(wait->task);
}

struct mock *
testrun_awaited(const struct testrun *run)
{
	return run->wait->mock;
}

/* next(script): wait for what it brings */
static int
core_next(lua_State *L)
{
	struct testrun *run = run_of(L);
	struct mock *mock = check_mock(L)->mock;
	struct testrun_wait *wait;

	if (mock_has_out(mock))
		return push_next(L, run, mock);
	wait = lua_newuserdatauv(L, sizeof(*wait), 0);
	*wait = (struct testrun_wait){run, vm_task_check(L), mock};
	run->wait = wait;
	return vm_task_wait(wait->task, wait_cancel, wait, next_k);
}

static enum err_code
code_of(const char *name)
{
	int code;

	for (code = ERR_NONE; name != NULL && code <= ERR_INTERNAL; code++) {
		if (strcmp(err_code_name((enum err_code)code), name) == 0)
			return (enum err_code)code;
	}
	return ERR_NONE;
}

/* answer(script, "step"|"kv"|"ask", id, {found=, json=, code=, error=}) */
static int
core_answer(lua_State *L)
{
	static const char *const names[] = {"step", "kv", "ask", NULL};
	static const enum proto_type types[] = {
	    PROTO_STEP_IS, PROTO_KV_IS, PROTO_ASK_IS};
	struct testrun_mock *mock = check_mock(L);
	int what = luaL_checkoption(L, 2, NULL, names);
	lua_Integer id = luaL_checkinteger(L, 3);
	struct proto_answer m = {0};

	luaL_checktype(L, 4, LUA_TTABLE);
	(void)lua_getfield(L, 4, "found");
	m.found = lua_toboolean(L, -1);
	m.json = str_field(L, 4, "json");
	m.error = str_field(L, 4, "error");
	m.code = (uint64_t)code_of(text_field(L, 4, "code"));
	if (m.error.data != NULL && m.code == ERR_NONE)
		m.code = ERR_INVALID;
	proto_put_answer(mock_in(mock->mock), types[what], (uint64_t)id, &m);
	return 0;
}

/* reply(script, id, {status=, headers=, body=, code=, error=, delay=}) */
static int
core_reply(lua_State *L)
{
	struct testrun_mock *mock = check_mock(L);
	lua_Integer id = luaL_checkinteger(L, 2);
	struct mock_reply m = {.err = ERR_INIT};
	const char *error;

	luaL_checktype(L, 3, LUA_TTABLE);
	m.status = (unsigned int)integer_field(L, 3, "status");
	m.headers = str_field(L, 3, "headers");
	m.body = str_field(L, 3, "body");
	m.delay_ms = integer_field(L, 3, "delay_ms");
	error = text_field(L, 3, "error");
	if (error != NULL)
		(void)err_set(
		    &m.err, code_of(text_field(L, 3, "code")), "%s", error);
	/* -1: the run that waited for it is over. */
	lua_pushboolean(L, mock_reply(mock->mock, (uint64_t)id, &m) == 0);
	return 1;
}

/* now([elapsed_ms]): ms since 1970, and since the test began, to which it can
 * be moved */
static int
core_now(lua_State *L)
{
	struct vclock *clock = &run_of(L)->clock;
	lua_Integer ms = luaL_optinteger(L, 1, 0);

	if (ms > 0 && (uint64_t)ms > clock->elapsed_ms)
		clock->elapsed_ms = (uint64_t)ms;
	lua_pushinteger(
	    L, (lua_Integer)(clock->begun_unix_ms + clock->elapsed_ms));
	lua_pushinteger(L, (lua_Integer)clock->elapsed_ms);
	return 2;
}

/* begin(time): make it that time now; false if it is none.  Nothing may wait
 * for time yet. */
static int
core_begin(lua_State *L)
{
	struct vclock *clock = &run_of(L)->clock;
	lua_Number seconds;
	const char *text;
	uint64_t ms = 0;
	size_t len;
	int good = 0;

	if (lua_type(L, 1) == LUA_TSTRING) {
		text = lua_tolstring(L, 1, &len);
		good = clock_parse_rfc3339(text, len, &ms) == 0;
	} else if (lua_type(L, 1) == LUA_TNUMBER) {
		seconds = lua_tonumber(L, 1);
		good = seconds >= 0 && seconds < MAX_TIME_S;
		ms = good ? (uint64_t)(seconds * 1000) : 0;
	}
	if (good) {
		clock->begun_unix_ms = ms;
		clock->elapsed_ms = 0;
	}
	lua_pushboolean(L, good);
	return 1;
}

/* catalog(question [, body]): the answer as a value, or nil and why not */
static int
core_catalog(lua_State *L)
{
	struct testrun *run = run_of(L);
	const char *question = luaL_checkstring(L, 1);
	const char *body = luaL_optstring(L, 2, NULL);

	free(run->text);
	free(run->error);
	run->text = run->error = NULL;
	run->text = run->catalog(run->cookie, question, body, &run->error);
	if (run->text == NULL) {
		lua_pushnil(L);
		lua_pushstring(L, run->error != NULL
				      ? run->error
				      : "nobody knows the catalogue here");
		return 2;
	}
	lask_push_json(L, str_of(run->text));
	return 1;
}

/* closest(name, names): the one of them that was probably meant, or nil */
static int
core_closest(lua_State *L)
{
	const char *names[100], *name = luaL_checkstring(L, 1);
	size_t i, n;

	luaL_checktype(L, 2, LUA_TTABLE);
	n = (size_t)lua_rawlen(L, 2);
	if (n > NELEMS(names))
		n = NELEMS(names);
	luaL_checkstack(L, (int)n + LUA_MINSTACK, NULL);
	for (i = 0; i < n; i++) {
		(void)lua_rawgeti(L, 2, (lua_Integer)i + 1);
		names[i] = luaL_checkstring(L, -1);
	}
	lua_pushstring(L, str_closest(name, names, n));
	return 1;
}

/* Whether a frame is of the file ${chunk}, or, if that is NULL, of any file. */
static int
is_frame_of(const lua_Debug *ar, const char *chunk)
{
	return ar->currentline > 0 && ar->source[0] == '@' &&
	       (chunk == NULL || strcmp(ar->source + 1, chunk) == 0);
}

/* where(): "file:line" of the innermost call in the test's file, else of one in
 * another */
static int
core_where(lua_State *L)
{
	const char *wanted[] = {run_of(L)->test->chunk, NULL};
	lua_Debug ar;
	size_t i;
	int level;

	for (i = 0; i < NELEMS(wanted); i++) {
		for (level = 0; lua_getstack(L, level, &ar); level++) {
			if (lua_getinfo(L, "Sl", &ar) == 0 ||
			    !is_frame_of(&ar, wanted[i]))
				continue;
			lua_pushfstring(
			    L, "%s:%d", ar.source + 1, ar.currentline);
			return 1;
		}
	}
	lua_pushstring(L, run_of(L)->test->chunk);
	return 1;
}

void
testing_open(lua_State *L, struct testrun *run)
{
	static const luaL_Reg core[] = {
	    {"scripts", core_scripts},
	    {"script", core_script},
	    {"secret", core_secret},
	    {"load", core_load},
	    {"run", core_run},
	    {"invoke", core_invoke},
	    {"next", core_next},
	    {"answer", core_answer},
	    {"reply", core_reply},
	    {"now", core_now},
	    {"begin", core_begin},
	    {"catalog", core_catalog},
	    {"closest", core_closest},
	    {"where", core_where},
	    {NULL, NULL},
	};
	struct str source = {(const char *)embed_lua_moonpost_testing_lua,
	    embed_lua_moonpost_testing_lua_len};

	if (bundle_compile(L, source, "=testing") != LUA_OK)
		(void)lua_error(L);
	luaL_newlibtable(L, core);
	lua_pushlightuserdata(L, run);
	luaL_setfuncs(L, core, 1);
	lua_call(L, 1, 2);
	run->main_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	sandbox_seal(L, "testing");
}
