/*
 * JSON into Lua and back: what comes out is JSON and, once more around, the
 * same.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "json/jdoc.h"

#include "script/convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Text is the first argument; text is the result, or nil. */
static int
around(lua_State *L)
{
	struct str in;
	struct jdoc doc = {0};
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	in.data = lua_tolstring(L, 1, &in.len);
	if (jdoc_parse(&doc, in.data, in.len, NULL, &err) == -1) {
		jdoc_free(&doc);
		return 0;
	}
	convert_push(L, jdoc_root(&doc));
	if (convert_encode(L, -1, SIZE_MAX / 2, &out, &err) == -1)
		abort();
	lua_pushlstring(L, buf_text(&out), out.len);
	buf_free(&out);
	jdoc_free(&doc);
	return 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	lua_State *L = luaL_newstate();

	assert(L != NULL);
	convert_open(L);
	lua_pushcfunction(L, around);
	lua_pushlstring(L, (const char *)data, size);
	lua_call(L, 1, 1);
	if (lua_isstring(L, -1)) {
		lua_pushcfunction(L, around);
		lua_pushvalue(L, -2);
		lua_call(L, 1, 1);
		/* Members may have changed places, but none is lost. */
		assert(lua_rawlen(L, -1) == lua_rawlen(L, -2));
	}
	lua_close(L);
	return 0;
}
