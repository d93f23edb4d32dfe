#ifndef SCRIPT_CONVERT_H_
#define SCRIPT_CONVERT_H_

/*
 * JSON to Lua and back, exactly: whole numbers stay whole (those beyond 64 bits
 * with a sign become floats), strings keep their bytes, null is a value of its
 * own, and [] stays an array when it comes back, also after a script has
 * emptied it: tables that were JSON arrays carry a metatable that says so.
 *
 * Floor: 4 (script), private.
 */

#include <stddef.h>

#include <lua.h>

#include "base/compiler.h"

struct buf;
struct err;
struct jval;

/* Make the mark of arrays, and room for names that come again (8 KiB), once a
 * state.  Lua stack: [-0, +0, m] */
void convert_open(lua_State *L);

/**
 * convert_push(L, v):
 * Push a JSON value as Lua has it.
 *
 * Lua stack: [-0, +1, m]
 */
void convert_push(lua_State *L, const struct jval *v);

/* Push json.null.  Lua stack: [-0, +1, -] */
void convert_push_null(lua_State *L);

/* Mark the table on top as an array.  Lua stack: [-0, +0, m] */
void convert_mark_array(lua_State *L);

/* Whether the value there is a marked array.  Lua stack: [-0, +0, -] */
int convert_is_array(lua_State *L, int idx);

/**
 * convert_encode(L, idx, max_len, out, err):
 * Append the value there as compact JSON, of about ${max_len} bytes at most.  A
 * table is an array if it is marked or its keys are 1 to n, an object if they
 * are strings, and {} if it has none. No metamethod is called.
 *
 * Returns:   0, or -1 and ${out} has a beginning of it behind what it had.
 * Errors:    ERR_INVALID      something JSON has not: the message names it by
 *                             its path ("data.items[2].fn"); or too deep;
 *            ERR_TOO_LARGE    longer than ${max_len};
 *            ERR_TIMEOUT      the slice is over.
 * Lua stack: [-0, +0, -]
 */
int convert_encode(lua_State *L, int idx, size_t max_len, struct buf *out,
    struct err *err) ATTR_MUSTCHECK;

/* The __tostring and the __index of json.null: the second one raises. */
int convert_null_tostring(lua_State *L);
int convert_null_index(lua_State *L);

#endif /* !SCRIPT_CONVERT_H_ */
