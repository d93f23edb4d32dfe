#include <stdint.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/compiler.h"

#include "script/lpattern.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

/* An iteration of string.gmatch; the strings are upvalues beside it. */
struct gmatch {
	struct lpattern m;
	const char *pat;
	const char *at;
	const char
	    *last_end; /* An empty match must not touch the one before. */
};

/* A position as Lua's functions take it, as an index from 0; beyond the end it
 * is more than ${len}. */
static size_t
start_index(lua_Integer pos, size_t len)
{
	if (pos > 0)
		return (size_t)pos - 1;
	if (pos == 0 || pos < -(lua_Integer)len)
		return 0;
	return len - (size_t)-pos;
}

/* Push capture ${i} of a match from ${s} to ${e}; with no captures at all, the
 * whole match is the first. */
static void
push_capture(const struct lpattern *m, int i, const char *s, const char *e)
{
	ptrdiff_t len;

	if (i >= m->ncaptures) {
		if (i != 0)
			(void)luaL_error(
			    m->L, "invalid capture index %%%d", i + 1);
		lua_pushlstring(m->L, s, (size_t)(e - s));
		return;
	}
	len = m->captures[i].len;
	if (len == LPATTERN_OPEN)
		(void)luaL_error(m->L, "unfinished capture");
	if (len == LPATTERN_POSITION)
		lua_pushinteger(m->L, m->captures[i].at - m->src + 1);
	else
		lua_pushlstring(m->L, m->captures[i].at, (size_t)len);
}

/* Push all captures.  ${s} is NULL if the whole match is not wanted. */
static int
push_captures(const struct lpattern *m, const char *s, const char *e)
{
	int i, n = m->ncaptures == 0 && s != NULL ? 1 : m->ncaptures;

	luaL_checkstack(m->L, n, "too many captures");
	for (i = 0; i < n; i++)
		push_capture(m, i, s, e);
	return n;
}

static int
is_plain(const char *pat, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (strchr("^$*+?.([%-", pat[i]) != NULL && pat[i] != '\0')
			return 0;
	}
	return 1;
}

static int
find_or_match(lua_State *L, int find)
{
	struct lpattern m;
	const char *s, *pat, *at, *end;
	size_t len, patlen, init;
	int anchored;

	s = luaL_checklstring(L, 1, &len);
	pat = luaL_checklstring(L, 2, &patlen);
	init = start_index(luaL_optinteger(L, 3, 1), len);
	if (init > len) {
		luaL_pushfail(L);
		return 1;
	}

	if (find && (lua_toboolean(L, 4) || is_plain(pat, patlen))) {
		at = patlen == 0 ? s + init
				 : memmem(s + init, len - init, pat, patlen);
		if (at == NULL) {
			luaL_pushfail(L);
			return 1;
		}
		lua_pushinteger(L, at - s + 1);
		lua_pushinteger(L, at - s + (ptrdiff_t)patlen);
		return 2;
	}

	lpattern_init(&m, L, s, len, pat, patlen);
	anchored = patlen > 0 && *pat == '^';
	pat += anchored;
	for (at = s + init; at <= m.src_end; at++) {
		end = lpattern_match(&m, at, pat);
		if (end != NULL && find) {
			lua_pushinteger(L, at - s + 1);
			lua_pushinteger(L, end - s);
			return push_captures(&m, NULL, NULL) + 2;
		}
		if (end != NULL)
			return push_captures(&m, at, end);
		if (anchored)
			break;
	}
	luaL_pushfail(L);
	return 1;
}

static int
str_find(lua_State *L)
{
	return find_or_match(L, 1);
}

static int
str_match(lua_State *L)
{
	return find_or_match(L, 0);
}

static int
gmatch_next(lua_State *L)
{
	struct gmatch *g = lua_touserdata(L, lua_upvalueindex(3));
	const char *s, *end;

	g->m.L = L;
	for (s = g->at; s <= g->m.src_end; s++) {
		end = lpattern_match(&g->m, s, g->pat);
		if (end != NULL && end != g->last_end) {
			g->at = g->last_end = end;
			return push_captures(&g->m, s, end);
		}
	}
	g->at = s;
	return 0;
}

static int
str_gmatch(lua_State *L)
{
	struct gmatch *g;
	const char *s, *pat;
	size_t len, patlen, init;

	s = luaL_checklstring(L, 1, &len);
	pat = luaL_checklstring(L, 2, &patlen);
	init = start_index(luaL_optinteger(L, 3, 1), len);
	if (init > len)
		init = len + 1;
	lua_settop(L, 2);
	g = lua_newuserdatauv(L, sizeof(*g), 0);
	lpattern_init(&g->m, L, s, len, pat, patlen);
	g->pat = pat;
	g->at = s + init;
	g->last_end = NULL;
	lua_pushcclosure(L, gmatch_next, 3);
	return 1;
}

/* Add the replacement text with its %0 to %9 filled in. */
static void
add_text(struct lpattern *m, luaL_Buffer *b, const char *s, const char *e)
{
	const char *text, *end, *p;
	size_t len;

	text = lua_tolstring(m->L, 3, &len);
	end = text + len;
	while (
	    (p = memchr(text, LPATTERN_ESCAPE, (size_t)(end - text))) != NULL) {
		luaL_addlstring(b, text, (size_t)(p - text));
		p++;
		if (p < end && *p == LPATTERN_ESCAPE) {
			luaL_addchar(b, *p);
		} else if (p < end && *p == '0') {
			luaL_addlstring(b, s, (size_t)(e - s));
		} else if (p < end && *p >= '1' && *p <= '9') {
			push_capture(m, *p - '1', s, e);
			(void)luaL_tolstring(m->L, -1, NULL);
			lua_remove(m->L, -2);
			luaL_addvalue(b);
		} else {
			(void)luaL_error(
			    m->L, "invalid use of '%%' in replacement string");
		}
		text = p + 1;
	}
	luaL_addlstring(b, text, (size_t)(end - text));
}

/* Add what replaces the match from ${s} to ${e}.  Returns 0 if it stays. */
static int
add_value(struct lpattern *m, luaL_Buffer *b, const char *s, const char *e)
{
	lua_State *L = m->L;
	int n;

	switch (lua_type(L, 3)) {
	case LUA_TFUNCTION:
		lua_pushvalue(L, 3);
		n = push_captures(m, s, e);
		lua_call(L, n, 1);
		break;
	case LUA_TTABLE:
		push_capture(m, 0, s, e);
		(void)lua_gettable(L, 3);
		break;
	default:
		add_text(m, b, s, e);
		return 1;
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		luaL_addlstring(b, s, (size_t)(e - s));
		return 0;
	}
	if (!lua_isstring(L, -1))
		return luaL_error(L, "invalid replacement value (a %s)",
		    luaL_typename(L, -1));
	luaL_addvalue(b);
	return 1;
}

static int
str_gsub(lua_State *L)
{
	struct lpattern m;
	luaL_Buffer b;
	const char *s, *pat, *end, *last_end = NULL;
	size_t len, patlen;
	lua_Integer max, n = 0;
	int type, anchored, changed = 0;

	s = luaL_checklstring(L, 1, &len);
	pat = luaL_checklstring(L, 2, &patlen);
	type = lua_type(L, 3);
	max = luaL_optinteger(L, 4, (lua_Integer)len + 1);
	luaL_argexpected(L,
	    type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TTABLE ||
		type == LUA_TFUNCTION,
	    3, "string/function/table");
	/* A number becomes a string now, not under the buffer. */
	if (type == LUA_TNUMBER)
		(void)lua_tostring(L, 3);

	lpattern_init(&m, L, s, len, pat, patlen);
	anchored = patlen > 0 && *pat == '^';
	pat += anchored;
	luaL_buffinit(L, &b);
	while (n < max) {
		end = lpattern_match(&m, s, pat);
		if (end != NULL && end != last_end) {
			n++;
			changed |= add_value(&m, &b, s, end);
			s = last_end = end;
		} else if (s < m.src_end) {
			luaL_addchar(&b, *s++);
		} else {
			break;
		}
		if (anchored)
			break;
	}
	if (changed) {
		luaL_addlstring(&b, s, (size_t)(m.src_end - s));
		luaL_pushresult(&b);
	} else {
		lua_pushvalue(L, 1);
	}
	lua_pushinteger(L, n);
	return 2;
}

/* string.rep(s, n, sep): Lua's own, but nothing at all n times is nothing, at
 * once; there it takes n steps. */
static int
str_rep(lua_State *L)
{
	size_t len, seplen;

	(void)luaL_checklstring(L, 1, &len);
	(void)luaL_checkinteger(L, 2);
	(void)luaL_optlstring(L, 3, "", &seplen);
	if (len + seplen == 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	lua_settop(L, 3);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 3, 1);
	return 1;
}

void
lstring_install(lua_State *L)
{
	static const luaL_Reg funcs[] = {
	    {"find", str_find},
	    {"match", str_match},
	    {"gmatch", str_gmatch},
	    {"gsub", str_gsub},
	    {NULL, NULL},
	};

	luaL_setfuncs(L, funcs, 0);
	(void)lua_getfield(L, -1, "rep");
	lua_pushcclosure(L, str_rep, 1);
	lua_setfield(L, -2, "rep");
}
