#include <math.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "script/convert.h"
#include "script/vm_internal.h"

/* The registry's keys of the mark, and of the names. */
static const char array_key, names_key;

/* How many names of members a state knows: 2^NAMES_BITS. */
#define NAMES_BITS 8
#define NAMES (1U << NAMES_BITS)

/* Longer ones are not kept. */
#define NAME_MAX_LEN 40

/* As deep as the parser goes. */
#define MAX_DEPTH JDOC_MAX_DEPTH

/* No path in a message is longer, about. */
#define PATH_SIZE 200

/*
 * The names that objects had lately.  An event has a few dozen of them over and
 * over again: to find one here takes a look at some of its bytes, where Lua
 * hashes all of them, one by one.  A userdata, whose values are the strings.
 */
struct names {
	struct str known[NAMES]; /* The bytes are those of the strings. */
};

void
convert_open(lua_State *L)
{
	struct names *names;

	names = lua_newuserdatauv(L, sizeof(*names), NAMES);
	(void)memset(names, 0, sizeof(*names));
	lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);

	lua_createtable(L, 0, 1);
	/* What getmetatable() answers: the table itself is out of reach. */
	lua_pushliteral(L, "json.array");
	lua_setfield(L, -2, "__metatable");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
}

void
convert_push_null(lua_State *L)
{
	lua_pushlightuserdata(L, NULL);
}

int
convert_null_tostring(lua_State *L)
{
	lua_pushliteral(L, "null");
	return 1;
}

void
convert_mark_array(lua_State *L)
{
	(void)lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
	(void)lua_setmetatable(L, -2);
}

int
convert_is_array(lua_State *L, int idx)
{
	int same;

	if (!lua_istable(L, idx) || !lua_getmetatable(L, idx))
		return 0;
	(void)lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
	same = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return same;
}

int
convert_null_index(lua_State *L)
{
	if (lua_type(L, 2) == LUA_TSTRING)
		return luaL_error(L, "attempt to index json.null (field '%s')",
		    lua_tostring(L, 2));
	return luaL_error(L, "attempt to index json.null");
}

/* One value on its way to Lua. */
struct pusher {
	lua_State *L;
	struct names *names;
	int names_idx;
	int mark_idx; /* Of arrays. */
};

/* The place of a name, by its length and its first and last bytes. */
static inline unsigned int
place_of(struct str name)
{
	uint32_t head = 0, tail = 0;

	if (name.len >= sizeof(head)) {
		(void)memcpy(&head, name.data, sizeof(head));
		(void)memcpy(
		    &tail, name.data + name.len - sizeof(tail), sizeof(tail));
	} else if (name.len > 0) {
		head = (unsigned char)name.data[0];
		tail = (unsigned char)name.data[name.len - 1];
	}
	head = (head ^ (uint32_t)name.len) * 0x9E3779B1U + tail;
	return (head * 0x85EBCA6BU) >> (32 - NAMES_BITS);
}

static inline void
push_name(struct pusher *p, struct str name)
{
	unsigned int place;
	struct str *known;

	if (UNLIKELY(name.len > NAME_MAX_LEN)) {
		(void)lua_pushlstring(p->L, name.data, name.len);
		return;
	}
	place = place_of(name);
	known = &p->names->known[place];
	if (LIKELY(known->data != NULL && known->len == name.len &&
		   memcmp(known->data, name.data, name.len) == 0)) {
		(void)lua_getiuservalue(p->L, p->names_idx, (int)place + 1);
		return;
	}
	(void)lua_pushlstring(p->L, name.data, name.len);
	lua_pushvalue(p->L, -1);
	(void)lua_setiuservalue(p->L, p->names_idx, (int)place + 1);
	known->data = lua_tolstring(p->L, -1, &known->len);
}

/*
 * Push ${v}; returns the value behind it.  Objects are not looked up but
 * written in their order, so that of two members with the same key the last one
 * counts.
 */
static const struct jval *
push(struct pusher *p, const struct jval *v)
{
	lua_State *L = p->L;
	const struct jval *e;
	struct str s;
	uint32_t i;

	switch (jval_kind(v)) {
	case JDOC_NULL:
		lua_pushlightuserdata(L, NULL);
		return v + 1;
	case JDOC_FALSE:
	case JDOC_TRUE:
		lua_pushboolean(L, jval_kind(v) == JDOC_TRUE);
		return v + 1;
	case JDOC_INT:
		lua_pushinteger(L, v->v.i);
		return v + 1;
	case JDOC_UINT:
	case JDOC_REAL:
		lua_pushnumber(L, jval_double(v));
		return v + 1;
	case JDOC_STRING:
		s = jval_str(v);
		lua_pushlstring(L, s.data, s.len);
		return v + 1;
	case JDOC_ARRAY:
		luaL_checkstack(L, 4, "JSON is nested too deep");
		lua_createtable(L, (int)v->len, 0);
		for (e = v + 1, i = 1; i <= v->len; i++) {
			e = push(p, e);
			lua_rawseti(L, -2, i);
		}
		lua_pushvalue(L, p->mark_idx);
		(void)lua_setmetatable(L, -2);
		return e;
	case JDOC_OBJECT:
	default:
		luaL_checkstack(L, 5, "JSON is nested too deep");
		lua_createtable(L, 0, (int)v->len);
		for (e = v + 1, i = 0; i < v->len; i++) {
			push_name(p, jval_str(e));
			e = push(p, e + 1);
			lua_rawset(L, -3);
		}
		return e;
	}
}

void
convert_push(lua_State *L, const struct jval *v)
{
	struct pusher p = {.L = L};

	luaL_checkstack(L, 5, "JSON is nested too deep");
	(void)lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
	p.mark_idx = lua_gettop(L);
	(void)lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
	p.names_idx = p.mark_idx + 1;
	p.names = lua_touserdata(L, p.names_idx);
	(void)push(&p, v);
	lua_copy(L, -1, p.mark_idx);
	lua_settop(L, p.mark_idx);
}

/* One container on the way to the value that is being written. */
struct level {
	const struct level *up;
	const void *table;
	const char *key; /* NULL: the index counts. */
	lua_Integer index;
};

struct encoder {
	lua_State *L;
	struct jwrite w;
	struct buf *out;
	size_t max_len; /* Of out. */
	struct err *err;
};

/* "data.items[2]", the outermost first. */
static void
put_path(struct buf *path, const struct level *at)
{
	if (at == NULL || path->len > PATH_SIZE)
		return;
	put_path(path, at->up);
	if (at->key == NULL) {
		buf_printf(path, "[%lld]", (long long)at->index);
		return;
	}
	if (path->len > 0)
		buf_putc(path, '.');
	buf_puts(path, at->key);
}

static int
refuse(struct encoder *e, enum err_code code, const struct level *at,
    const char *why)
{
	struct buf path = BUF_INIT;

	put_path(&path, at);
	(void)err_set(e->err, code, "cannot encode %s: %s",
	    path.len == 0 ? "this value" : buf_text(&path), why);
	buf_free(&path);
	return -1;
}

static int encode_value(
    struct encoder *e, int idx, const struct level *up, int depth);

enum shape {
	SHAPE_OBJECT,
	SHAPE_ARRAY,
	SHAPE_BAD,
};

/* What the table at ${idx} is in JSON, and how long an array is. */
static enum shape
shape_of(struct encoder *e, int idx, const struct level *up, lua_Integer *ret_n)
{
	lua_State *L = e->L;
	lua_Integer max = 0, count = 0;
	int array = convert_is_array(L, idx), strings = 0;

	lua_pushnil(L);
	while (lua_next(L, idx)) {
		lua_pop(L, 1);
		if (lua_type(L, -1) == LUA_TSTRING) {
			strings = 1;
			/* An object is known by its first key, as a rule. */
			if (count == 0 && lua_rawlen(L, idx) == 0 && !array) {
				lua_pop(L, 1);
				return SHAPE_OBJECT;
			}
		} else if (lua_isinteger(L, -1) && lua_tointeger(L, -1) > 0) {
			count++;
			if (lua_tointeger(L, -1) > max)
				max = lua_tointeger(L, -1);
		} else {
			lua_pop(L, 1);
			(void)refuse(e, ERR_INVALID, up,
			    "a key is neither a string nor a position");
			return SHAPE_BAD;
		}
	}
	*ret_n = max;
	if (strings && (count > 0 || array)) {
		(void)refuse(e, ERR_INVALID, up,
		    "a table with both positions and names");
		return SHAPE_BAD;
	}
	if (strings || (count == 0 && !array))
		return SHAPE_OBJECT;
	if (max != count) {
		(void)refuse(e, ERR_INVALID, up,
		    "an array with holes; put json.null there");
		return SHAPE_BAD;
	}
	return SHAPE_ARRAY;
}

static int
encode_object(struct encoder *e, int idx, struct level *at, int depth)
{
	lua_State *L = e->L;
	struct str key;

	jwrite_object(&e->w);
	lua_pushnil(L);
	while (lua_next(L, idx)) {
		/* A key that came behind the first may still be a number. */
		if (lua_type(L, -2) != LUA_TSTRING)
			return refuse(e, ERR_INVALID, at->up,
			    "a table with both positions and names");
		key.data = lua_tolstring(L, -2, &key.len);
		at->key = key.data;
		jwrite_keyn(&e->w, key);
		if (encode_value(e, lua_gettop(L), at, depth) == -1)
			return -1;
		lua_pop(L, 1);
	}
	jwrite_object_end(&e->w);
	return 0;
}

static int
encode_array(
    struct encoder *e, int idx, struct level *at, lua_Integer n, int depth)
{
	lua_State *L = e->L;

	jwrite_array(&e->w);
	for (at->index = 1; at->index <= n; at->index++) {
		(void)lua_rawgeti(L, idx, at->index);
		if (encode_value(e, lua_gettop(L), at, depth) == -1)
			return -1;
		lua_pop(L, 1);
	}
	jwrite_array_end(&e->w);
	return 0;
}

static int
encode_table(struct encoder *e, int idx, const struct level *up, int depth)
{
	struct level at = {up, lua_topointer(e->L, idx), NULL, 0};
	const struct level *above;
	lua_Integer n = 0;

	if (depth > MAX_DEPTH || !lua_checkstack(e->L, 6))
		return refuse(e, ERR_INVALID, NULL, "it is nested too deep");
	for (above = up; above != NULL; above = above->up) {
		if (above->table == at.table)
			return refuse(e, ERR_INVALID, up, "it contains itself");
	}
	switch (shape_of(e, idx, up, &n)) {
	case SHAPE_OBJECT:
		return encode_object(e, idx, &at, depth);
	case SHAPE_ARRAY:
		return encode_array(e, idx, &at, n, depth);
	case SHAPE_BAD:
	default:
		return -1;
	}
}

static int
encode_number(struct encoder *e, int idx, const struct level *up)
{
	lua_Number d;

	if (lua_isinteger(e->L, idx)) {
		jwrite_int(&e->w, lua_tointeger(e->L, idx));
		return 0;
	}
	d = lua_tonumber(e->L, idx);
	if (isnan(d))
		return refuse(e, ERR_INVALID, up, "it is not a number (NaN)");
	if (isinf(d))
		return refuse(e, ERR_INVALID, up, "it is infinite");
	jwrite_real(&e->w, d);
	return 0;
}

/* How long a string is as JSON, at most. */
static size_t
json_len(struct str s)
{
	size_t len = s.len + 2, i;

	/* Only a long one is worth the look. */
	if (s.len < 1024)
		return len;
	for (i = 0; i < s.len; i++) {
		if ((unsigned char)s.data[i] < 0x20 || s.data[i] == 0x7F)
			len += 5;
		else if (s.data[i] == '"' || s.data[i] == '\\')
			len++;
	}
	return len;
}

/* Write the value at the absolute index ${idx}; ${up} is the way to it. */
static int
encode_value(struct encoder *e, int idx, const struct level *up, int depth)
{
	lua_State *L = e->L;
	struct str s;
	char why[60];

	if (e->out->len > e->max_len)
		return refuse(e, ERR_TOO_LARGE, NULL, "the text is too long");
	/* The caller ends the run. */
	if (UNLIKELY(limits_expired))
		return refuse(e, ERR_TIMEOUT, NULL, "it takes too long");
	switch (lua_type(L, idx)) {
	case LUA_TNIL:
		jwrite_null(&e->w);
		return 0;
	case LUA_TBOOLEAN:
		jwrite_bool(&e->w, lua_toboolean(L, idx));
		return 0;
	case LUA_TNUMBER:
		return encode_number(e, idx, up);
	case LUA_TSTRING:
		s.data = lua_tolstring(L, idx, &s.len);
		if (json_len(s) > e->max_len - e->out->len + 1024)
			return refuse(
			    e, ERR_TOO_LARGE, NULL, "the text is too long");
		jwrite_str(&e->w, s);
		return 0;
	case LUA_TTABLE:
		return encode_table(e, idx, up, depth + 1);
	case LUA_TLIGHTUSERDATA:
		if (lua_touserdata(L, idx) == NULL) {
			jwrite_null(&e->w);
			return 0;
		}
		/* FALLTHROUGH */
	default:
		(void)snprintf(why, sizeof(why), "it is a %s",
		    lua_typename(L, lua_type(L, idx)));
		return refuse(e, ERR_INVALID, up, why);
	}
}

int
convert_encode(
    lua_State *L, int idx, size_t max_len, struct buf *out, struct err *err)
{
	struct encoder e = {
	    L, jwrite_begin(out, 0), out, out->len + max_len, err};
	int rc, top = lua_gettop(L);

	if (!lua_checkstack(L, LUA_MINSTACK)) {
		(void)err_set(err, ERR_TOO_LARGE, "no memory left");
		return -1;
	}
	rc = encode_value(&e, lua_absindex(L, idx), NULL, 0);
	lua_settop(L, top);
	return rc;
}
