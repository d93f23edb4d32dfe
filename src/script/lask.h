#ifndef SCRIPT_LASK_H_
#define SCRIPT_LASK_H_

/*
 * How a Lua function asks the host something and waits for the answer: the
 * waiting protocol of vm_internal.h, for whatever is a struct question.
 *
 *	op = lask_push(L, vm_task_check(L));	may raise
 *	frame = lask_frame(op, &id);
 *	proto_put_x(frame, id, &m);
 *	return lask_wait(op, k);
 *
 * and in ${k}(L, status, ctx), where the stack is as it was:
 *
 *	answer = lask_take(L, ctx, "kv.get");	raises what the host refused
 *
 * What the host does by topic (PROTO_ASK) is asked with one call:
 *
 *	return lask_topic(L, "token", args, k);
 *
 * Floor: 4 (script), private.
 */

#include <stdint.h>

#include <lua.h>

#include "base/str.h"

#include "wire/proto.h"

struct buf;
struct lask;
struct vm_task;

/* Make the metatable, once a state.  Lua stack: [-0, +0, m] */
void lask_open(lua_State *L);

/* Push a question that is not asked yet.  Lua stack: [-0, +1, m] */
struct lask *lask_push(lua_State *L, struct vm_task *task);

/**
 * lask_topic(L, topic, args_json, k):
 * Ask the host and wait: use as `return lask_topic(...)` in a lua_CFunction.
 *
 * Ownership: ${args_json} may be in vm->scratch, which is free again then.
 * Lua stack: [-0, +1, v], yields
 */
int lask_topic(
    lua_State *L, const char *topic, struct str args_json, lua_KFunction k);

/* Where its frame goes, and the frame's id. */
struct buf *lask_frame(struct lask *ask, uint64_t *ret_id);

/* Ask, and wait: use as `return lask_wait(...)` in a lua_CFunction. */
int lask_wait(struct lask *ask, lua_KFunction k);

/**
 * lask_take(L, ctx, what):
 * The answer, in the continuation of lask_wait(); raise an error that begins
 * with ${what} if the host could not do it.
 *
 * Ownership: valid until the coroutine waits again.
 * Lua stack: [-0, +0, v]
 */
const struct proto_answer *lask_take(
    lua_State *L, lua_KContext ctx, const char *what);

/* The same, but what the host refused is in answer->code and error. */
const struct proto_answer *lask_answer(lua_KContext ctx);

/* Push what the host refused as scripts get it: nil, message, code.  Returns 3.
 * Lua stack: [-0, +3, m] */
int lask_push_refusal(lua_State *L, const struct proto_answer *answer);

/**
 * lask_push_json(L, json):
 * Push the value that the text is; the host checked it when it was stored.
 *
 * Lua stack: [-0, +1, e]
 */
void lask_push_json(lua_State *L, struct str json);

/**
 * lask_encode(L, idx, what):
 * Put the value there into vm->scratch, as JSON of at most PROTO_VALUE_MAX
 * bytes; ${what} begins the message if that cannot be.
 *
 * Lua stack: [-0, +0, v]
 */
struct str lask_encode(lua_State *L, int idx, const char *what);

/**
 * lask_check_text(L, arg, what, max):
 * The string at ${arg}, of 1 to ${max} bytes of UTF-8; ${what} names it.
 *
 * Lua stack: [-0, +0, v]
 */
struct str lask_check_text(lua_State *L, int arg, const char *what, size_t max);

#endif /* !SCRIPT_LASK_H_ */
