#ifndef SCRIPT_HOLD_H_
#define SCRIPT_HOLD_H_

/*
 * C memory that is held for a script counts against its cap, as if Lua held it:
 * answers and bodies of requests, frames that wait for the store, the parser's
 * tape.  What is needed for a moment within one C function is not counted, but
 * not begun unless there is room for it.
 *
 * A broken cap is the same as one that Lua breaks: an error that can be caught,
 * after which the state is of no use (struct vm_done_cb).
 *
 * Floor: 4 (script), private.
 */

#include <stddef.h>

#include <lua.h>

#include "base/compiler.h"
#include "base/str.h"

struct err;
struct vm;

/**
 * hold_add(vm, bytes), hold_drop(vm, bytes):
 * Count ${bytes} as held, or no longer.
 *
 * Returns:   0, or -1 if that is beyond the cap, and nothing is counted.
 */
int hold_add(struct vm *vm, size_t bytes) ATTR_MUSTCHECK;
void hold_drop(struct vm *vm, size_t bytes);

/* What is left of the cap, without a collection of garbage. */
size_t hold_room(const struct vm *vm);

/**
 * hold_check(L, bytes):
 * See that there is room for ${bytes}, with a collection of garbage if need be;
 * nothing is counted.  hold_check_add() counts them, too.
 *
 * Lua stack: [-0, +0, m], as lua_newtable
 */
void hold_check(lua_State *L, size_t bytes);
void hold_check_add(lua_State *L, size_t bytes);

/* Raise the error of a broken cap: `return hold_refuse(L)`. */
int hold_refuse(lua_State *L);

/**
 * hold_json(L, text, ret_offset, err):
 * Parse JSON into vm->doc, whose memory counts for as long as it is there, and
 * push its value.
 *
 * Returns:   0, or -1 and nothing is pushed, as of jdoc_parse().
 * Lua stack: [-0, +1, m]
 */
int hold_json(lua_State *L, struct str text, size_t *ret_offset,
    struct err *err) ATTR_MUSTCHECK;

/* Give back what the slice that ends has left in vm->doc and vm->scratch. */
void hold_tidy(struct vm *vm);

#endif /* !SCRIPT_HOLD_H_ */
