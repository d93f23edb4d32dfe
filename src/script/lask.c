#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "base/err.h"

#include "script/convert.h"
#include "script/hold.h"
#include "script/lask.h"
#include "script/question.h"
#include "script/vm_internal.h"

#define LASK "moonpost.ask"

/* A full userdata, on the stack of the coroutine that waits. */
struct lask {
	struct question question;    /* First: the answer comes with it. */
	struct questions *questions; /* Borrowed. */
	struct vm_task *task;        /* Borrowed; valid while it waits. */
	const struct proto_answer *answer; /* Valid while it is woken. */
	struct vm *vm;                     /* Borrowed. */
	size_t held; /* Bytes of the frame, against the script's cap. */
};

/* Also what __gc does.  Harmless when it is not open. */
static void
ask_cancel(void *cookie)
{
	struct lask *ask = cookie;

	question_cancel(ask->questions, &ask->question);
	hold_drop(ask->vm, ask->held);
	ask->held = 0;
}

static int
ask_gc(lua_State *L)
{
	ask_cancel(luaL_checkudata(L, 1, LASK));
	return 0;
}

void
lask_open(lua_State *L)
{
	if (luaL_newmetatable(L, LASK)) {
		lua_pushcfunction(L, ask_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_pop(L, 1);
}

static struct lask *
push(lua_State *L, struct vm_task *task, struct questions *questions)
{
	struct lask *ask = lua_newuserdatauv(L, sizeof(*ask), 0);

	*ask =
	    (struct lask){.questions = questions, .task = task, .vm = task->vm};
	luaL_setmetatable(L, LASK);
	return ask;
}

struct lask *
lask_push(lua_State *L, struct vm_task *task)
{
	if (task->vm->host->questions == NULL)
		(void)luaL_error(L, "there is no store here");
	return push(L, task, task->vm->host->questions);
}

static void
answered(struct question *question, const struct proto_answer *answer)
{
	struct lask *ask = (struct lask *)question;

	ask->answer = answer;
	hold_drop(ask->vm, ask->held);
	ask->held = 0;
	vm_task_wake(ask->task);
}

struct buf *
lask_frame(struct lask *ask, uint64_t *ret_id)
{
	struct buf *frame =
	    question_open(ask->questions, &ask->question, answered);

	*ret_id = ask->question.id;
	return frame;
}

int
lask_wait(struct lask *ask, lua_KFunction k)
{
	/* It may wait for its turn, or the host for the disk. */
	hold_check_add(ask->task->co, ask->question.held.len);
	ask->held = ask->question.held.len;
	question_send(ask->questions, &ask->question);
	return vm_task_wait(ask->task, ask_cancel, ask, k);
}

int
lask_topic(
    lua_State *L, const char *topic, struct str args_json, lua_KFunction k)
{
	struct vm_task *task = vm_task_check(L);
	struct proto_ask m = {.bundle = task->vm->script->bundle,
	    .job = task->job,
	    .topic = str_of(topic),
	    .args_json = args_json};
	struct buf *frame;
	struct lask *ask;
	uint64_t id;

	if (task->vm->host->asks == NULL)
		return luaL_error(L, "there is no host to ask here");
	if (args_json.len > PROTO_ASK_MAX)
		return luaL_error(L,
		    "the arguments are too large: more than "
		    "%d bytes as JSON",
		    PROTO_ASK_MAX);
	ask = push(L, task, task->vm->host->asks);
	frame = lask_frame(ask, &id);
	proto_put_ask(frame, id, &m);
	vm_trim(task->vm);
	return lask_wait(ask, k);
}

const struct proto_answer *
lask_answer(lua_KContext ctx)
{
	return ((const struct lask *)ctx)->answer;
}

int
lask_push_refusal(lua_State *L, const struct proto_answer *answer)
{
	lua_pushnil(L);
	lua_pushlstring(L, answer->error.data, answer->error.len);
	lua_pushstring(L, err_code_name((enum err_code)answer->code));
	return 3;
}

const struct proto_answer *
lask_take(lua_State *L, lua_KContext ctx, const char *what)
{
	const struct lask *ask = (const struct lask *)ctx;
	const struct proto_answer *answer = ask->answer;

	if (answer->code != ERR_NONE) {
		luaL_where(L, 1);
		lua_pushfstring(L, "%s: ", what);
		lua_pushlstring(L, answer->error.data, answer->error.len);
		lua_concat(L, 3);
		(void)lua_error(L);
	}
	return answer;
}

void
lask_push_json(lua_State *L, struct str json)
{
	struct err err = ERR_INIT;

	if (json.data == NULL || hold_json(L, json, NULL, &err) == -1)
		(void)luaL_error(L, "what was stored is damaged: %s", err.msg);
}

struct str
lask_encode(lua_State *L, int idx, const char *what)
{
	struct vm *vm = vm_of(L);
	struct err err = ERR_INIT;
	int rc;

	buf_reset(&vm->scratch);
	rc = convert_encode(L, idx, PROTO_VALUE_MAX, &vm->scratch, &err);
	if (rc == -1)
		vm_trim(vm);
	if (rc == -1 && err.code == ERR_TIMEOUT)
		(void)vm_kill_cpu(L);
	if (vm->scratch.len > PROTO_VALUE_MAX ||
	    (rc == -1 && err.code == ERR_TOO_LARGE))
		(void)luaL_error(L,
		    "%s: the value is too large: more than %d bytes as JSON",
		    what, PROTO_VALUE_MAX);
	if (rc == -1)
		(void)luaL_error(L, "%s: %s", what, err.msg);
	return (struct str){vm->scratch.data, vm->scratch.len};
}

struct str
lask_check_text(lua_State *L, int arg, const char *what, size_t max)
{
	struct str s;
	size_t at, n;

	s.data = luaL_checklstring(L, arg, &s.len);
	if (s.len == 0 || s.len > max)
		(void)luaL_error(L, "%s must have 1 to %d bytes, not %d", what,
		    (int)max, (int)s.len);
	for (at = 0; at < s.len; at += n) {
		n = str_utf8_len(s.data + at, s.len - at);
		if (n == 0)
			(void)luaL_error(L, "%s must be UTF-8", what);
	}
	return s;
}
