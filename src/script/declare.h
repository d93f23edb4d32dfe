#ifndef SCRIPT_DECLARE_H_
#define SCRIPT_DECLARE_H_

/*
 * What a script declares while it loads (a schedule, a UI component): plain
 * data that the host gets with PROTO_LOADED.  Functions stay in the state, with
 * the module that took them.
 *
 * Floor: 4 (script), private.
 */

#include <lua.h>

#include "base/compiler.h"

struct err;
struct vm;

/* Everything declared by one script is at most so many bytes of JSON. */
#define DECLARE_MAX (1U << 20)

/**
 * declare_add(L, kind):
 * Declare the table on top, which must be plain data, as one more ${kind}.
 * Raise an error when the script does not load just now: ${kind} names what was
 * called in the message.
 *
 * Lua stack: [-1, +0, v]
 */
void declare_add(lua_State *L, const char *kind);

/**
 * declare_check(L, what):
 * Raise an error unless the script loads just now; ${what} names what was
 * called.
 *
 * Lua stack: [-0, +0, v]
 */
void declare_check(lua_State *L, const char *what);

/**
 * declare_count_below(L, kind, max):
 * Whether fewer than ${max} of ${kind} are declared.
 *
 * Lua stack: [-0, +0, m]
 */
int declare_count_below(lua_State *L, const char *kind, lua_Unsigned max);

/**
 * declare_take(vm, ret_json, err):
 * What the script in ${vm} has declared, as an object of arrays by kind; NULL
 * if that is nothing.
 *
 * Errors:    ERR_INVALID      something in it is no plain data;
 *            ERR_TOO_LARGE    it is too much.
 * Ownership: the caller frees *${ret_json} with free().
 */
int declare_take(
    struct vm *vm, char **ret_json, struct err *err) ATTR_MUSTCHECK;

#endif /* !SCRIPT_DECLARE_H_ */
