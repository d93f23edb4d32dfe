#ifndef SCRIPT_LARG_H_
#define SCRIPT_LARG_H_

/*
 * Arguments of Lua functions that luaL_check*() has not: durations, tables of
 * options.
 *
 * Floor: 4 (script), private.
 */

#include <stddef.h>
#include <stdint.h>

#include <lua.h>

/**
 * larg_duration_ms(L, idx, what):
 * The duration there: seconds as a number, or text with a unit ("2s").
 *
 * Units:     milliseconds.
 * Lua stack: [-0, +0, v]  ${what} names it in the error.
 */
uint64_t larg_duration_ms(lua_State *L, int idx, const char *what);

/**
 * larg_options(L, idx, names, n):
 * Raise an error unless the value there is nil, none, or a table with no other
 * keys than these; a likely one is proposed.
 *
 * Lua stack: [-0, +0, v]
 */
void larg_options(lua_State *L, int idx, const char *const *names, size_t n);

#endif /* !SCRIPT_LARG_H_ */
