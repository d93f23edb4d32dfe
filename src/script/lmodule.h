#ifndef SCRIPT_LMODULE_H_
#define SCRIPT_LMODULE_H_

/*
 * Modules that are written in Lua and embedded in the program: loaded when they
 * are first used, and called from the C functions that scripts see.
 *
 * Floor: 4 (script), private.
 */

#include <stddef.h>

#include <lua.h>

struct lmodule {
	const char
	    *chunk; /* "=moonpost/sentry.lua": no frame of the script's. */
	const unsigned char *source;
	const size_t *source_len;
	/* Adds to the table on top what only C can have.  Lua stack: [-0, +0,
	 * m] */
	void (*core)(lua_State *L);
};

/**
 * lmodule_call(L, module, name):
 * Call the function ${name} of the module with all arguments; use as `return
 * lmodule_call(...)` in a lua_CFunction.
 *
 * Lua stack: yields, [v]
 */
int lmodule_call(lua_State *L, const struct lmodule *module, const char *name);

#endif /* !SCRIPT_LMODULE_H_ */
